//! Migrations.

use super::*;
use crate::store::sql::schema::VERSIONS;

#[tokio::test]
async fn migrating_a_current_schema_sends_nothing() {
    for database in TestDatabase::all().await {
        let clock = clock();
        drop(database.node(&clock).await);
        let store = database.unmigrated_node(&clock).await;
        let before = store.statements();
        store.migrate().await.expect("the schema is current");
        assert_eq!(store.statements() - before, 0, "{store:?}");
        // A schema that was removed since is noticed.
        let created =
            VERSIONS.concat().into_iter().filter_map(|it| it.strip_prefix("CREATE TABLE "));
        let names = created.filter_map(|it| it.split_whitespace().next());
        for table in names.chain(["tss_schema"]) {
            database.run(&format!("DROP TABLE {table}")).await;
        }
        clock.advance(SYNC * 4);
        store.migrate().await.expect("the schema is created");
        begin(&store, "s").await;
        database.remove().await;
    }
}

#[tokio::test]
async fn migrating_a_newer_schema_changes_nothing() {
    for database in TestDatabase::all().await {
        drop(database.node(&clock()).await);
        database.run("INSERT INTO tss_schema (version) VALUES (1000)").await;
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        database.remove().await;
    }
}

/// Postgres: a role that may read and write the rows of existing tables, and nothing else.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_role_that_may_not_create_tables_serves_a_current_schema() {
    use crate::store::{ListQuery, Rotated, SessionStore as _};
    for database in TestDatabase::all().await {
        let Some((base, schema)) = database.schema.clone() else { continue };
        let role = format!("{schema}_role");
        let address = database.address.replacen("://postgres@", &format!("://{role}@"), 1);
        assert_ne!(address, database.address, "the server trusts its superuser `postgres`");
        run(&base, format!("CREATE ROLE {role} LOGIN")).await;
        run(&base, format!("GRANT USAGE ON SCHEMA {schema} TO {role}")).await;
        let at = || SqlStore::at(&address).clock(clock()).sync_interval(SYNC);
        let store = at().connect().await.expect("the role may log in");
        store.migrate().await.expect_err("the role may not create tables");

        drop(database.node(&clock()).await);
        let rows = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA";
        run(&base, format!("GRANT {rows} {schema} TO {role}")).await;
        // Both a node that was there before the tables and one that starts after them.
        for (store, sid) in [(store, "s"), (at().connect().await.expect("it may log in"), "t")] {
            store.migrate().await.expect("nothing is left to create");
            let epoch = begin(&store, sid).await;
            let query = RefreshQuery { epoch, ..query(sid) };
            let rotated = store.rotate(Rotation { query, ..rotation(sid, 0, "first") }).await;
            assert_eq!(rotated.expect("the store answers"), Rotated::Done);
            store.touch(keys("unknown"), touch(NOW)).await.expect("the store answers");
            store.append_activity([].into()).await.expect("the store answers");
            let scope = Scope::User(scopes().user);
            let listed = store.sessions(scope, ListQuery::first(9), NOW).await;
            assert_eq!(listed.expect("the store answers").items.len(), 1);
            assert_eq!(store.revoke_all(of_user(Exempt::None)).await.expect("it answers"), 1);
            store.write_tombstone(tombstone(key(sid), NOW + DAY)).await.expect("the store answers");
            store.0.clean(NOW + DAY).await.expect("the cleanup succeeds");
        }
        run(&base, format!("DROP SCHEMA {schema} CASCADE")).await;
        run(&base, format!("DROP ROLE {role}")).await;
    }
}
