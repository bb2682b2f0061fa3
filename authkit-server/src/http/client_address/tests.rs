use std::net::IpAddr;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use super::{TrustedProxies, client_address};

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        map.append(HeaderName::from_static(name), value);
    }
    map
}

fn seen(peer: &str, lines: &[(&'static str, &str)]) -> String {
    let trusted = TrustedProxies::parse(["10.0.0.0/8", " fd00::/8 ", "192.0.2.7"]).expect("networks");
    client_address(peer.parse::<IpAddr>().expect("an address"), &headers(lines), &trusted).to_string()
}

#[test]
fn a_stranger_says_nothing_about_its_own_address() {
    let lies = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "10.0.0.1, 6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("cf-connecting-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("x-forwarded-for", "a"),
        ("x-forwarded-for", ""),
    ];
    for lie in lies {
        assert_eq!(seen("203.0.113.9", &[lie]), "203.0.113.9", "{lie:?}");
    }
    assert_eq!(seen("203.0.113.9", &lies), "203.0.113.9");
    assert_eq!(seen("::ffff:203.0.113.9", &[]), "203.0.113.9", "v4-mapped is its v4 address");
}

#[test]
fn only_the_end_that_our_proxies_wrote_is_believed() {
    let seen = |value: &str| seen("10.0.0.1", &[("x-forwarded-for", value)]);
    assert_eq!(seen("198.51.100.1"), "198.51.100.1");
    assert_eq!(seen("6.6.6.6, 198.51.100.1"), "198.51.100.1");
    assert_eq!(seen("6.6.6.6, 198.51.100.1, 10.9.9.9, 192.0.2.7"), "198.51.100.1");
    assert_eq!(seen("10.1.1.1, 6.6.6.6, 198.51.100.1 , 10.9.9.9"), "198.51.100.1");
    assert_eq!(seen("6.6.6.6, ::ffff:198.51.100.1"), "198.51.100.1");
    assert_eq!(seen("6.6.6.6, ::ffff:198.51.100.1, ::ffff:10.2.2.2"), "198.51.100.1");
    assert_eq!(seen("198.51.100.1:4711"), "198.51.100.1");
    assert_eq!(seen("[2001:db8::1]:4711, fd00::1"), "2001:db8::1");
    assert_eq!(seen("10.1.1.1, 10.2.2.2"), "10.1.1.1", "all trusted: the farthest of them");
    let thousand = format!("{}198.51.100.1", "6.6.6.6, ".repeat(1_000));
    assert_eq!(seen(&thousand), "198.51.100.1");
}

#[test]
fn an_entry_that_cannot_be_read_ends_the_walk_at_the_last_trusted_hop() {
    let seen = |value: &str| seen("10.0.0.1", &[("x-forwarded-for", value)]);
    for garbage in
        ["", "a", "unknown", "6.6.6.6, ", "6.6.6.6, _x", "6.6.6.6,,", "6.6.6.6, 1.2.3.4.5", "6.6.6.6, 0x7f.1", "\u{fffd}"]
    {
        assert_eq!(seen(garbage), "10.0.0.1", "{garbage:?}");
    }
    assert_eq!(seen("6.6.6.6, garbage, 10.3.3.3"), "10.3.3.3");
}

#[test]
fn several_header_lines_are_one_list() {
    let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "10.4.4.4")];
    assert_eq!(seen("10.0.0.1", &lines), "198.51.100.1");
}

#[test]
fn the_standard_header_is_read_as_rfc_7239_writes_it() {
    let seen = |value: &str| seen("10.0.0.1", &[("forwarded", value)]);
    assert_eq!(seen("for=198.51.100.1"), "198.51.100.1");
    assert_eq!(seen("For=\"[2001:db8:cafe::17]:4711\";proto=https"), "2001:db8:cafe::17");
    assert_eq!(seen("for=6.6.6.6, by=10.0.0.1;FOR=198.51.100.1;host=x, for=10.2.2.2"), "198.51.100.1");
    for hidden in ["for=unknown", "for=_SEVKISEK", "for=", "proto=https", "for=\"6.6.6.6", "for=6.6.6.6;for=7.7.7.7", "x"] {
        assert_eq!(seen(hidden), "10.0.0.1", "{hidden:?}");
    }
    assert_eq!(seen("for=\"6.6.6.6, for=198.51.100.1"), "198.51.100.1", "an open quote hides nothing of our own entry");
}

#[test]
fn a_client_cannot_speak_through_the_header_that_the_proxy_hands_on() {
    let both = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=6.6.6.6")];
    assert_eq!(seen("10.0.0.1", &both), "10.0.0.1");
    let agreeing = [("x-forwarded-for", "6.6.6.6, 198.51.100.1"), ("forwarded", "for=198.51.100.1")];
    assert_eq!(seen("10.0.0.1", &agreeing), "198.51.100.1");
}

#[test]
fn networks_are_read_or_refused() {
    assert!(TrustedProxies::parse(["10.0.0.0/8", "::1", "127.0.0.1"]).is_ok());
    for text in ["", "10.0.0.0/33", "10.0.0", "localhost", "*"] {
        assert!(TrustedProxies::parse([text]).is_err(), "{text:?}");
    }
    let mapped = TrustedProxies::parse(["::ffff:10.0.0.0/104"]).expect("a network");
    assert!(mapped.contains("10.200.0.1".parse().expect("an address")));
}
