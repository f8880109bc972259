//! Languages of audio, as containers and users name them.

use isolang::Language;

/// ISO 639-2 codes "for bibliography" that differ from those of ISO 639-3, and which DVB allows as well.
const BIBLIOGRAPHIC: [(&str, &str); 20] = [
    ("alb", "sqi"),
    ("arm", "hye"),
    ("baq", "eus"),
    ("bur", "mya"),
    ("chi", "zho"),
    ("cze", "ces"),
    ("dut", "nld"),
    ("fre", "fra"),
    ("geo", "kat"),
    ("ger", "deu"),
    ("gre", "ell"),
    ("ice", "isl"),
    ("mac", "mkd"),
    ("mao", "mri"),
    ("may", "msa"),
    ("per", "fas"),
    ("rum", "ron"),
    ("slo", "slk"),
    ("tib", "bod"),
    ("wel", "cym"),
];

/// Whether a track whose language is told so (a code of ISO 639-2, or a BCP 47 tag) is of the language asked for.
#[must_use]
pub fn speaks(told: &str, wanted: &str) -> bool {
    match (language(told), language(wanted)) {
        (Some(told), Some(wanted)) => told == wanted,
        _ => told.eq_ignore_ascii_case(wanted),
    }
}

/// The language of a tag's primary subtag (RFC 5646 2.2.1).
fn language(tag: &str) -> Option<Language> {
    let primary = tag.split('-').next().unwrap_or(tag).to_ascii_lowercase();
    let terminological = BIBLIOGRAPHIC.iter().find(|(code, _)| *code == primary).map(|(_, code)| *code);
    let code = terminological.unwrap_or(&primary);
    Language::from_639_1(code).or_else(|| Language::from_639_3(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_language_is_the_same_language() {
        for (told, wanted) in
            [("deu", "de"), ("ger", "de-AT"), ("GER", "deu"), ("de", "DE"), ("nds", "nds"), ("qaa", "qaa")]
        {
            assert!(speaks(told, wanted), "{told} {wanted}");
        }
        for (told, wanted) in [("deu", "en"), ("und", "de"), ("", "de"), ("qaa", "de"), ("deu", "qaa")] {
            assert!(!speaks(told, wanted), "{told} {wanted}");
        }
        assert!(BIBLIOGRAPHIC.iter().all(|(_, code)| Language::from_639_3(code).is_some()));
    }
}
