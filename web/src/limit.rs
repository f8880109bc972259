//! How many requests a second one address may make to `/api`.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::problem::Problem;
use crate::server::Shared;

/// Addresses that are remembered until those that have been quiet are forgotten.
const MAX_REMEMBERED: usize = 10_000;

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// What is remembered of addresses, for the rate that holds now.
#[derive(Default)]
pub(crate) struct Limits(Mutex<Option<(NonZeroU32, Limiter)>>);

impl Limits {
    /// Whether `address` may ask once more at `rate` requests a second (0: without limit); else how long it is to
    /// wait. Twice the rate may come at once.
    fn check(&self, address: IpAddr, rate: u32) -> Result<(), Duration> {
        let Some(rate) = NonZeroU32::new(rate) else { return Ok(()) };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|(known, _)| *known != rate) {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
            *held = Some((rate, RateLimiter::hashmap(Quota::per_second(rate).allow_burst(burst))));
        }
        let Some((_, limiter)) = &*held else { return Ok(()) };
        if limiter.len() > MAX_REMEMBERED {
            limiter.retain_recent();
            if limiter.len() > MAX_REMEMBERED {
                // So many at once are an attack from a network; each is let through rather than remembered.
                return Ok(());
            }
        }
        limiter.check_key(&network(address)).map_err(|until| until.wait_time_from(limiter.clock().now()))
    }
}

/// A host has a whole /64 of IPv6 addresses to itself (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

/// Middleware of `/api`.
pub(crate) async fn hold(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let verdict = match (request.app_data::<web::Data<Shared>>(), request.peer_addr()) {
        (Some(shared), Some(peer)) => shared.limits.check(peer.ip(), shared.settings().rate_limit),
        _ => Ok(()),
    };
    match verdict {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(wait) => {
            let response = Problem::too_many_requests(wait).error_response();
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(limits: &Limits, address: &str, rate: u32) -> usize {
        (0..100).filter(|_| limits.check(address.parse().unwrap(), rate).is_ok()).count()
    }

    #[test]
    fn one_address_may_ask_twice_the_rate_at_once_and_others_do_not_notice() {
        let limits = Limits::default();
        // The clock goes on meanwhile, so that one more may get through on a slow machine.
        assert!((10..=12).contains(&allowed(&limits, "192.0.2.1", 5)));
        assert!((10..=12).contains(&allowed(&limits, "2001:db8::1", 5)));
        assert!(allowed(&limits, "2001:db8::2", 5) <= 2, "the same /64");
        assert!((10..=12).contains(&allowed(&limits, "2001:db8:0:1::2", 5)));
        assert!(limits.check("192.0.2.1".parse().unwrap(), 5).unwrap_err() <= Duration::from_millis(200));
    }

    #[test]
    fn another_rate_counts_anew_and_none_is_no_limit() {
        let limits = Limits::default();
        assert!(allowed(&limits, "192.0.2.1", 5) < 20);
        assert!(allowed(&limits, "192.0.2.1", 10) >= 20);
        assert_eq!(allowed(&limits, "192.0.2.1", 0), 100);
    }
}
