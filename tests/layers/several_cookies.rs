//! P34: several cookies of one name, and the settings of cookies.

use std::time::Duration;

use http::HeaderMap;
use tower_sliding_session::{
    RejectionKind, SessionCookie,
    transport::{HeaderToken, SameSite, SetCookie},
};

use crate::{
    stale_cookies::{INVALID, policy, request, session, set_cookies, stack, who},
    test_stack::{HOUR, MILLI, MINUTE, TestStack, claims, patient, rejected, renewed, with},
};

/// What a request finds in these cookies of one name.
async fn chosen(stack: &TestStack, cookies: &[&str]) -> Result<String, RejectionKind> {
    let pairs: Vec<String> = cookies.iter().map(|token| session(token)).collect();
    let in_one = who(stack, request(&[("cookie", &pairs.join("; "))])).await;
    let headers: Vec<_> = pairs.iter().map(|pair| ("cookie", &**pair)).collect();
    assert_eq!(who(stack, request(&headers)).await, in_one, "in one header or several");
    in_one
}

#[tokio::test]
async fn p34_of_several_cookies_the_latest_good_one_of_one_subject_counts() {
    let stack = stack(|builder| builder);
    let expired = stack.sign_in_as("old").await;
    stack.at(2 * HOUR);
    let first = stack.sign_in().await;
    stack.clock.advance(Duration::from_secs(1));
    let second = stack.sign_in().await;
    let (bob, forged) = (stack.sign_in_as("bob").await, format!("{second}x"));
    let ada = || Ok("ada".to_owned());
    let two = Err(RejectionKind::InvalidToken);
    for (cookies, expected) in [
        (vec![&*first, &first], ada()),
        (vec!["", &first], ada()),
        (vec!["a.b.c", &first], ada()),
        (vec![&first, &forged], ada()),
        (vec![&expired, &first], ada()),
        (vec![&first, &bob], two.clone()),
        (vec![&bob, "x", &first], two),
        (vec!["1", "2", "3", &first], ada()),
        (vec!["1", "1", "1", "1", "1", &first], ada()),
        (vec!["1", "2", "3", "4", &first], Err(RejectionKind::InvalidToken)),
        (vec!["", ""], Err(RejectionKind::InvalidToken)),
        (vec![&expired, "a.b.c"], Err(RejectionKind::SessionExpiredIdle)),
    ] {
        assert_eq!(chosen(&stack, &cookies).await, expected, "{cookies:?}");
    }
    // The second sign-in counts, in whatever order: the first is revoked.
    let sid = claims(&first)["sid"].as_str().expect("a sid").to_owned();
    stack.sessions.revoke(&sid).await.expect("it is revoked");
    for cookies in [[&*first, &second], [&*second, &first]] {
        assert_eq!(chosen(&stack, &cookies).await, ada());
    }
    // The successor of one of several goes into the cookie.
    stack.clock.advance(Duration::from_secs(1));
    stack.get(&second).await;
    for minutes in [15, 30] {
        stack.at(2 * HOUR + Duration::from_secs(60 * minutes + 2));
        let pair = format!("{}; {}", session(&second), session("a.b.c"));
        let response = stack.send(request(&[("cookie", &pair)])).await;
        assert_eq!(rejected(&response), None);
        assert_eq!(set_cookies(response.headers()).len(), usize::from(minutes == 30));
    }
}

#[tokio::test]
async fn p34_a_former_cookie_is_accepted_and_cleared() {
    let former = || SessionCookie::named("sid", "/app").expect("a cookie");
    let before = TestStack::with(patient(), |it| it.session_cookie(former()));
    let token = before.sign_in().await;
    let cookie = SessionCookie::new().former(former());
    let after = TestStack::with(patient(), |it| it.session_cookie(cookie.clone()));
    after.at(HOUR / 2 + MILLI);
    let response = after.send(request(&[("cookie", &format!("sid={token}"))])).await;
    assert_eq!(rejected(&response), None);
    let set = set_cookies(response.headers());
    let cleared = "sid=; Path=/app; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
    assert_eq!((set.len(), &*set[0]), (2, cleared));
    assert!(set[1].starts_with("__Host-session=e"), "{}", set[1]);
    // The new name comes first.
    let both = format!("sid=a.b.c; {}", session(&token));
    assert_eq!(rejected(&after.send(request(&[("cookie", &both)])).await), None);
    // A sign-in and a sign-out by hand clear it, too.
    let grant = after.sessions.start("ada").await.expect("the session starts");
    for set_cookie in [grant.set_cookie(&cookie), SetCookie::clear(&cookie)] {
        let mut headers = HeaderMap::new();
        set_cookie.write_to(&mut headers);
        assert_eq!((set_cookies(&headers).len(), &*set_cookies(&headers)[0]), (2, cleared));
    }
    // A former cookie at the place of the new one is not cleared.
    let same = SessionCookie::new().former(SessionCookie::new());
    let mut headers = HeaderMap::new();
    grant.set_cookie(&same).write_to(&mut headers);
    assert_eq!(set_cookies(&headers).len(), 1);
}

#[tokio::test]
async fn p34_a_cookie_after_a_change_of_path_or_domain_locks_nobody_out() {
    let named = |path| SessionCookie::named("session", path).expect("a cookie");
    let moved = [
        (named("/app"), named("/")),
        (named("/").domain("example.com").expect("a domain"), named("/")),
        (named("/"), named("/").domain("example.com").expect("a domain")),
        (named("/"), named("/").partitioned()),
    ];
    for (old, new) in moved {
        let new = new.former(old.clone());
        let stack = TestStack::with(policy(), |it| it.session_cookie(new));
        let token = stack.sign_in().await;
        let pair = format!("session=a.b.c; session={token}");
        stack.at(10 * MINUTE).send(request(&[("cookie", &pair)])).await;
        stack.at(29 * MINUTE).send(request(&[("cookie", &pair)])).await;
        let response = stack.at(31 * MINUTE).send(request(&[("cookie", &pair)])).await;
        let set = set_cookies(response.headers());
        assert_eq!((set.len(), set[0].as_bytes()), (2, old.clear().as_bytes()), "{old:?}");
    }
}

#[tokio::test]
async fn p34_every_setting_of_a_cookie_applies_to_a_mirror_cookie_too() {
    let set = |cookie: SessionCookie| {
        cookie
            .domain("example.com")
            .expect("a domain")
            .same_site(SameSite::None)
            .partitioned()
            .without_max_age()
    };
    let named = |name| set(SessionCookie::named(name, "/").expect("a cookie"));
    let stack = TestStack::with(patient(), |builder| {
        builder.bearer().session_cookie(named("session")).mirror_cookie(named("mirror"))
    });
    let attributes = "; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned";
    for (name, carries) in [("session", false), ("mirror", true)] {
        let token = stack.sign_in().await;
        stack.clock.advance(HOUR / 2 + MILLI);
        let cookie = format!("session={token}");
        let due = if carries { with(&token) } else { request(&[("cookie", &cookie)]) };
        let response = stack.send(due).await;
        let [set] = &set_cookies(response.headers())[..] else { panic!("one cookie: {name}") };
        assert!(set.starts_with(&format!("{name}=e")) && set.ends_with(attributes), "{set}");
        assert_eq!(renewed(&response).is_some(), carries);
    }
    let cleared = named("session").clear();
    assert_eq!(cleared, format!("session={attributes}; Max-Age=0"));
    let insecure = named("session").dangerous_insecure();
    assert_eq!(
        insecure.clear(),
        "session=; Path=/; Domain=example.com; HttpOnly; SameSite=Lax; Max-Age=0"
    );
}

#[tokio::test]
async fn a_header_token_may_follow_the_scheme_bearer() {
    let name = http::HeaderName::from_static("x-token");
    let stack = TestStack::with(patient(), |builder| {
        builder.transport(HeaderToken::new(name.clone())).session_expires()
    });
    let token = stack.sign_in().await;
    for (value, expected) in [
        (token.clone(), None),
        (format!("Bearer {token}"), None),
        (format!("bearer  {token} "), None),
        ("Bearer".to_owned(), INVALID),
        (String::new(), INVALID),
        (format!("Basic {token}"), INVALID),
        (format!("Bearer{token}"), INVALID),
    ] {
        let response = stack.send(request(&[("x-token", &value)])).await;
        assert_eq!(rejected(&response), expected, "{value}");
    }
    let twice = [("x-token", &*token), ("x-token", &token)];
    assert_eq!(rejected(&stack.send(request(&twice)).await), INVALID);
}
