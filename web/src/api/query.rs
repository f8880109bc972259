//! Reading a request's query; what is unknown, doubled or wrong is refused.

use std::ops::RangeInclusive;

use actix_web::HttpRequest;
use overdub_actors::settings::StreamId;

use super::id_from;
use crate::problem::Problem;
use crate::validate::FieldError;
use crate::validate::fields::shown_text;

/// A query's parameters.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query, in which only `known` may stand, each once.
    pub(crate) fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    fn parse(text: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let allowed = known.join(", ");
            if !known.contains(&name.as_ref()) {
                let message = match known {
                    [] => format!("query parameter {} is not known; there is none here", shown_text(&name)),
                    _ => format!("query parameter {} is not known; known are {allowed}", shown_text(&name)),
                };
                return Err(refuse("query", message, allowed));
            }
            if pairs.iter().any(|(earlier, _)| *earlier == name) {
                let message = format!("query parameter {name} stands there twice; give it once");
                return Err(refuse(&name, message, allowed));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A stream's id.
    pub(crate) fn stream_id(&self, name: &str) -> Result<Option<StreamId>, Problem> {
        self.get(name).map(|text| id_from(name, text)).transpose()
    }

    /// An integer within `range`.
    pub(crate) fn integer(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        // `parse` would take a plus sign too.
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse().ok().filter(|value| digits && range.contains(value)) {
            Some(value) => Ok(Some(value)),
            None => {
                let allowed = format!("{} to {}", range.start(), range.end());
                let message = format!("{name} must be an integer from {allowed}; got {}", shown_text(text));
                Err(refuse(name, message, allowed))
            }
        }
    }

    /// One of the named values, or the default.
    pub(crate) fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        match choices.iter().find(|(known, _)| *known == text) {
            Some((_, chosen)) => Ok(*chosen),
            None => {
                let allowed = choices.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
                let message = format!("{name} must be one of {allowed}; got {}", shown_text(text));
                Err(refuse(name, message, allowed))
            }
        }
    }

    /// `true` or `false`; absent is false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(text) => {
                let message = format!("{name} must be true or false; got {}", shown_text(text));
                Err(refuse(name, message, "true, false".to_owned()))
            }
        }
    }
}

fn refuse(field: &str, message: String, allowed: String) -> Problem {
    Problem::invalid(vec![FieldError { field: field.to_owned(), message, allowed: Some(allowed) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let known = ["limit", "purge", "streamId"];
        let query = Query::parse("limit=5&purge=true&streamId=a", &known).ok().unwrap();
        assert_eq!(query.integer("limit", 1..=10).unwrap(), Some(5));
        assert!(query.integer("limit", 6..=10).is_err());
        assert!(query.flag("purge").unwrap());
        assert_eq!(query.stream_id("streamId").unwrap().unwrap().as_str(), "a");
        assert!(Query::parse("limits=5", &known).is_err());
        assert!(Query::parse("limit=5&limit=6", &known).is_err());
        assert!(Query::parse("anything=1", &[]).is_err());
        for bad in ["", "-1", "%2B5", "5.0", "x", "99999999999999999999"] {
            let query = Query::parse(&format!("limit={bad}"), &known).ok().unwrap();
            assert!(query.integer("limit", 0..=u64::MAX).is_err(), "{bad}");
        }
        assert!(Query::parse("purge=yes", &known).ok().unwrap().flag("purge").is_err());
        assert!(Query::parse("streamId=..%2Fx", &known).ok().unwrap().stream_id("streamId").is_err());
    }
}
