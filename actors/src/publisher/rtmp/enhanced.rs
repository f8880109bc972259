//! What a server says of codecs beyond FLV's own.
//!
//! Enhanced RTMP has a server name what it takes in its answer to `connect`. SRS takes H.265 since version 6 and says
//! only who it is.

use overdub_media::rtmp::amf0::Value;
use overdub_media::rtmp::message::Command;

/// The FourCC of H.265, and the sign for any codec.
const H265: [&str; 2] = ["hvc1", "*"];
/// The first SRS that takes H.265.
const SRS_MAJOR: u32 = 6;

/// Whether the answer to `connect` says that H.265 is taken.
pub fn takes_h265(connected: &Command) -> bool {
    let values = || std::iter::once(&connected.object).chain(&connected.arguments);
    values().any(names_hvc1) || values().any(is_modern_srs)
}

fn names_hvc1(value: &Value) -> bool {
    let list = value.get("fourCcList").or_else(|| value.get("videoFourCcInfoMap"));
    match list {
        Some(Value::StrictArray(items)) => {
            items.iter().filter_map(Value::as_text).any(|name| H265.contains(&name))
        }
        Some(map) => H265.iter().any(|name| map.get(name).is_some()),
        None => false,
    }
}

fn is_modern_srs(value: &Value) -> bool {
    let data = value.get("data").unwrap_or(value);
    let version = data.get("srs_version").and_then(Value::as_text);
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= SRS_MAJOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(information: Value) -> Command {
        let properties = Value::object([("fmsVer", Value::text("FMS/3,5,3,888"))]);
        let arguments = vec![information];
        Command { name: "_result".to_owned(), transaction: 1.0, object: properties, arguments }
    }

    #[test]
    fn servers_that_take_h265_are_told_from_those_that_do_not() {
        let list = |name| Value::object([("fourCcList", Value::StrictArray(vec![Value::text(name)]))]);
        let srs = |version| {
            let data = Value::object([("srs_version", Value::text(version))]);
            Value::object([("code", Value::text("NetConnection.Connect.Success")), ("data", data)])
        };
        for takes in [list("hvc1"), list("*"), srs("6.0.166"), srs("7.0.1")] {
            assert!(takes_h265(&answer(takes.clone())), "{takes:?}");
        }
        for refuses in [list("av01"), srs("5.0.200"), srs("x"), Value::Null] {
            assert!(!takes_h265(&answer(refuses.clone())), "{refuses:?}");
        }
    }
}
