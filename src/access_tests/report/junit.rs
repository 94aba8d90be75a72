//! JUnit's XML, as Jenkins and GitLab read it: a suite for each domain.

use std::fmt::Write as _;
use std::time::Duration;

use super::Outcome;
use crate::access_tests::TestResult;

pub(crate) fn junit(outcome: &Outcome) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let all: Vec<&TestResult> = outcome.results.iter().collect();
    let _ = writeln!(
        xml,
        "<testsuites name=\"weft access test\" {}>",
        counts(&all, outcome.took)
    );
    let mut domains: Vec<&str> = Vec::new();
    for result in &all {
        if !domains.contains(&result.domain.as_str()) {
            domains.push(result.domain.as_str());
        }
    }
    for domain in domains {
        let of_it = all.iter().copied();
        let tests: Vec<_> = of_it.filter(|it| it.domain.as_str() == domain).collect();
        let took = tests.iter().map(|test| test.took).sum();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" {} skipped=\"0\">",
            escaped(domain),
            counts(&tests, took)
        );
        for test in tests {
            case(&mut xml, test);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(tests: &[&TestResult], took: Duration) -> String {
    let failures = tests.iter().filter(|it| !it.problems.is_empty()).count();
    format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{:.3}\"",
        tests.len(),
        took.as_secs_f64()
    )
}

fn case(xml: &mut String, test: &TestResult) {
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3}\"",
        escaped(test.domain.as_str()),
        escaped(&test.name),
        escaped(&test.span.file.display().to_string()),
        test.span.line,
        test.took.as_secs_f64()
    );
    let Some(first) = test.problems.first() else {
        xml.push_str("/>\n");
        return;
    };
    let texts: Vec<String> = test.problems.iter().map(|it| it.text()).collect();
    let _ = writeln!(
        xml,
        ">\n      <failure type=\"access\" message=\"{}\">{}</failure>\n    </testcase>",
        escaped(&first.message),
        escaped(&texts.join("\n"))
    );
}

/// As text or attribute. What XML 1.0 has no characters for is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
    out
}
