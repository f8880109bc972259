//! Which addresses are private, and a resolver that does not give them out.
//!
//! Checking a name before the request would leave a gap: the name may resolve to another address when the
//! connection is made (DNS rebinding). So the check sits in the resolver that the connection itself uses.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_tls::connect::Resolve;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use url::Host;

/// An address that `allow_private = false` refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address is private, and fetch.allow_private is false")]
pub(crate) struct PrivateAddress;

/// Which addresses are refused.
pub type Refuses = fn(IpAddr) -> bool;

/// What `fetch.allow_private` refuses.
#[must_use]
pub fn refusal(allow_private: bool) -> Refuses {
    if allow_private { |_| false } else { is_private }
}

/// Resolves names by the system, and leaves out addresses that are refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolver {
    pub refuses: Refuses,
}

impl Resolve for Resolver {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        async move {
            // An IPv6 literal comes with its brackets.
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
            let any = !found.is_empty();
            let allowed: Vec<_> = found.into_iter().filter(|address| !(self.refuses)(address.ip())).collect();
            if any && allowed.is_empty() { Err(PrivateAddress.into()) } else { Ok(allowed) }
        }
        .boxed_local()
    }
}

/// Refuses a literal address: literals never reach the resolver.
pub(crate) fn check_literal(host: &Host<&str>, refuses: Refuses) -> Result<(), PrivateAddress> {
    let refused = match host {
        Host::Domain(_) => false,
        Host::Ipv4(address) => refuses(IpAddr::V4(*address)),
        Host::Ipv6(address) => refuses(IpAddr::V6(*address)),
    };
    if refused { Err(PrivateAddress) } else { Ok(()) }
}

/// Whether an address is not one of the public internet (IANA special-purpose registries).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0 | 10 | 127, ..) => true,
        (100, 64..=127, _) => true,            // RFC 6598, carrier-grade NAT
        (169, 254, _) | (192, 168, _) => true, // RFC 3927, RFC 1918
        (172, 16..=31, _) => true,             // RFC 1918
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) => true, // RFC 6890, RFC 5737
        (198, 18 | 19, _) => true,             // RFC 2544, benchmarks
        (224.., ..) => true,                   // multicast, reserved, broadcast
        _ => false,
    }
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, ..] => true, // ::, ::1, IPv4-compatible
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low), // IPv4-mapped
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // RFC 6052, NAT64
        [0x64, 0xff9b, 1, ..] => true,  // RFC 8215, local NAT64
        [0x2002, high, low, ..] => embedded(high, low), // RFC 3056, 6to4
        [0x2001, 0, ..] | [0x2001, 0xdb8, ..] => true, // Teredo, documentation
        [0x0100, 0, 0, 0, ..] => true,  // RFC 6666, discard
        [first, ..] => matches!(first & 0xfe00, 0xfc00) || first >= 0xfe80, // ULA, link-local, site-local, multicast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001:0:1::",
        ] {
            assert!(is_private(private.parse().expect(private)), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(!is_private(public.parse().expect(public)), "{public}");
        }
    }

    #[tokio::test]
    async fn a_name_for_a_private_address_does_not_resolve() {
        let refusing = Resolver { refuses: refusal(false) };
        let error = refusing.lookup("localhost", 80).await.expect_err("localhost is private");
        assert!(error.is::<PrivateAddress>());
        assert!(Resolver { refuses: refusal(true) }.lookup("localhost", 80).await.is_ok());
    }
}
