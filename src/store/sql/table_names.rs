//! The names of the tables: `tss_..`, or in a schema and with a prefix of the app's choice.

use super::value::{Args, Sql};
use crate::maybe_ready::StoreError;

/// The prefix of the tables in the statements of this store, and by default in the database.
const PREFIX: &str = "tss_";

/// Postgres cuts a name after 63 bytes; the longest name after the prefix has 19.
const MAX_PREFIX_LEN: usize = 44;

/// The most bytes that Postgres keeps of a name.
const MAX_NAME_LEN: usize = 63;

/// Where the tables are, and the prefix of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableNames {
    /// Postgres: the schema; the first of the connection's `search_path` by default.
    pub(super) schema: Option<String>,
    pub(super) prefix: Option<String>,
}

impl TableNames {
    /// Checks the names. Only the schema is quoted, so the prefix must be lower-case ASCII.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if let Some(schema) = &self.schema
            && (schema.is_empty() || schema.len() > MAX_NAME_LEN || schema.contains('\0'))
        {
            return Err(StoreError::new("the name of a schema has 1 to 63 bytes"));
        }
        let is_word = |prefix: &str| {
            let is_part = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            prefix.bytes().next().is_some_and(is_part)
                && prefix.bytes().all(|byte| is_part(byte) || byte.is_ascii_digit())
        };
        match &self.prefix {
            Some(prefix) if prefix.len() > MAX_PREFIX_LEN || !is_word(prefix) => Err(
                StoreError::new("a table prefix has 1 to 44 of a-z, 0-9 and _, and no digit first"),
            ),
            _ => Ok(()),
        }
    }

    /// Adds the schema, null for the connection's own, and the prefix.
    pub(super) fn identify(&self, args: Args) -> Args {
        args.maybe_text(self.schema.as_deref()).text(self.prefix.as_deref().unwrap_or(PREFIX))
    }

    /// Puts the names into a statement.
    pub(super) fn apply(&self, sql: Sql) -> Sql {
        if *self == Self::default() {
            return sql;
        }
        let prefix = self.prefix.as_deref().unwrap_or(PREFIX);
        let qualified = match &self.schema {
            Some(schema) => format!("\"{}\".{prefix}", schema.replace('"', "\"\"")),
            None => prefix.to_owned(),
        };
        let text = sql.text().replace(PREFIX, &qualified);
        // An index has the schema of its table.
        let index = "CREATE INDEX ";
        Sql::Composed(text.replace(&format!("{index}{qualified}"), &format!("{index}{prefix}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(schema: Option<&str>, prefix: Option<&str>) -> TableNames {
        TableNames { schema: schema.map(Into::into), prefix: prefix.map(Into::into) }
    }

    #[test]
    fn names_are_put_into_statements() {
        let index = "CREATE INDEX tss_audit_all ON tss_audit (at)";
        let select = "SELECT at FROM tss_audit";
        for (names, indexed, selected) in [
            (names(None, None), index, select),
            (
                names(None, Some("app_")),
                "CREATE INDEX app_audit_all ON app_audit (at)",
                "SELECT at FROM app_audit",
            ),
            (
                names(Some("A\"b"), None),
                "CREATE INDEX tss_audit_all ON \"A\"\"b\".tss_audit (at)",
                "SELECT at FROM \"A\"\"b\".tss_audit",
            ),
            (
                names(Some("auth"), Some("s1_")),
                "CREATE INDEX s1_audit_all ON \"auth\".s1_audit (at)",
                "SELECT at FROM \"auth\".s1_audit",
            ),
        ] {
            names.check().expect("the names are allowed");
            assert_eq!(names.apply(index.into()).text(), indexed);
            assert_eq!(names.apply(select.into()).text(), selected);
        }
    }

    #[test]
    fn a_name_that_would_be_cut_or_end_a_statement_is_refused() {
        for prefix in ["", "1a", "A", "a;", "a b", "a\"", "é", "a-"] {
            names(None, Some(prefix)).check().expect_err(prefix);
        }
        names(None, Some(&"a".repeat(44))).check().expect("it fits");
        names(None, Some(&"a".repeat(45))).check().expect_err("it is cut");
        for schema in ["", "a\0b", &"a".repeat(64)] {
            names(Some(schema), None).check().expect_err(schema);
        }
    }

    #[test]
    fn the_longest_name_fits() {
        let statements = crate::store::sql::schema::VERSIONS.concat();
        let words = statements.iter().flat_map(|it| it.split([' ', '\n', '(', ',']));
        let longest = words.filter_map(|word| word.strip_prefix(PREFIX)).map(str::len).max();
        assert!(longest.expect("there are tables") + MAX_PREFIX_LEN <= MAX_NAME_LEN);
    }
}
