use super::fixture::{Fixture, ORDERS_YAML, SALES_YAML};
use crate::{Credentials, SecretRef, StorageUrl};

const PATH: &str = "path: ./data/orders/*.csv";

#[test]
fn location_outside_the_storage() {
    let fixture = Fixture::new();
    fixture.edit(ORDERS_YAML, PATH, "path: ./data2/orders/*.csv");
    assert_eq!(
        fixture.fault(),
        "domains/sales/products/orders.odcs.yaml:11:11: error[location-outside-storage]: location \
         `./data2/orders/*.csv` lies under no storage of its domain\n\
         11 |     path: ./data2/orders/*.csv\n   \
            |           ^\n  \
         = help: the domain's storages are `lake` at `./data/`"
    );
}

#[test]
fn dot_dot_in_a_location() {
    let fixture = Fixture::new();
    fixture.edit(ORDERS_YAML, PATH, "path: ./data/../secrets/*.csv");
    assert_eq!(
        fixture.fault(),
        "domains/sales/products/orders.odcs.yaml:11:11: error[unsafe-location]: location \
         `./data/../secrets/*.csv` has a `..` segment\n\
         11 |     path: ./data/../secrets/*.csv\n   \
            |           ^\n  \
         = help: write the plain way to the files, segment by segment, below one of the domain's storages"
    );
}

#[test]
fn locations_that_could_mean_another_place() {
    for path in [
        "../data/orders/*.csv",
        "./data/./orders/*.csv",
        "./data//orders/*.csv",
        "./data/%2e%2e/orders/*.csv",
        "./data/a%2Fb/*.csv",
        "\"./data\\\\orders/*.csv\"",
        "\"./data/orders\\n/*.csv\"",
        "././data/orders/*.csv",
        "./data/orders/**.csv",
        "\"./data/orders/[a.csv\"",
        "\"./data/{a,b/c}.csv\"",
    ] {
        let fixture = Fixture::new();
        fixture.edit(ORDERS_YAML, PATH, &format!("path: {path}"));
        assert_eq!(
            fixture.rules(),
            ["unsafe-location"],
            "{path}: {:?}",
            fixture.faults()
        );
    }
    for path in [
        "/etc/passwd",
        "\"*/orders/a.csv\"",
        "./dat?/orders/*.csv",
        "./data2",
        "file:///etc/*",
    ] {
        let fixture = Fixture::new();
        fixture.edit(ORDERS_YAML, PATH, &format!("path: {path}"));
        assert_eq!(fixture.rules(), ["location-outside-storage"], "{path}");
    }
}

#[test]
fn symlink_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("b.csv"), "x").unwrap();
    let fixture = Fixture::new();
    fixture.link(
        "domains/sales/data/orders/b.csv",
        &outside.path().join("b.csv"),
    );
    assert_eq!(
        fixture.fault(),
        "domains/sales/products/orders.odcs.yaml:11:11: warning[symlink-escape]: `orders/b.csv` is a symlink \
         that leads out of its storage: tables of `./data/orders/*.csv` cannot be read\n\
         11 |     path: ./data/orders/*.csv\n   \
            |           ^\n  \
         = help: copy the data into the storage, or declare a storage where it lies"
    );
    let fixture = Fixture::new();
    fixture
        .link("domains/sales/data/other", outside.path())
        .edit(ORDERS_YAML, PATH, "path: ./data/other/*.csv");
    assert_eq!(fixture.rules(), ["symlink-escape"]);
}

#[test]
fn symlinks_within_the_root_are_fine_and_circles_end() {
    let fixture = Fixture::new();
    let data = fixture.path("domains/sales/data");
    fixture
        .link(
            "domains/sales/data/orders/b.csv",
            &data.join("orders/a.csv"),
        )
        .link("domains/sales/data/orders/loop", &data)
        .edit(ORDERS_YAML, PATH, "path: ./data/orders/**/*.csv");
    assert_eq!(
        fixture.rules(),
        Vec::<&str>::new(),
        "{:?}",
        fixture.faults()
    );
}

#[test]
fn missing_file() {
    let fixture = Fixture::new();
    fixture.edit(ORDERS_YAML, PATH, "path: ./data/orders/b.csv");
    assert_eq!(
        fixture.fault(),
        "domains/sales/products/orders.odcs.yaml:11:11: warning[missing-file]: location `./data/orders/b.csv` \
         is missing: there is no `orders/b.csv`\n\
         11 |     path: ./data/orders/b.csv\n   \
            |           ^\n  \
         = help: create it, or correct the path; it is relative to the folder of `domain.yaml`"
    );
    let fixture = Fixture::new();
    fixture.edit(SALES_YAML, "./data/", "./dta/");
    let told = fixture.faults();
    assert!(
        told.iter().any(|fault| fault.starts_with(
            "domains/sales/domain.yaml:8:10: warning[missing-file]: there is no folder `./dta/`"
        )),
        "{told:?}"
    );
}

#[test]
fn a_pattern_without_files_is_a_warning() {
    let fixture = Fixture::new();
    fixture.edit(ORDERS_YAML, PATH, "path: ./data/orders/*.tsv");
    assert!(
        fixture
            .fault()
            .contains("warning[no-files]: location `./data/orders/*.tsv` matches no file yet")
    );
    assert!(fixture.load().domains[0].domain.is_some());
}

#[test]
fn locations_are_relative_to_the_innermost_storage() {
    let fixture = Fixture::new();
    fixture.edit(
        SALES_YAML,
        "  - name: lake\n    url: ./data/\n",
        "  - name: lake\n    url: ./data/\n  - name: inner\n    url: ./data/orders\n",
    );
    let source = fixture.orders().source;
    assert_eq!(source.storage.as_str(), "inner");
    assert_eq!(source.location.as_str(), "*.csv");
    assert!(source.location.prefix().is_empty());
    assert!(source.location.matches("a.csv"));
    assert!(!source.location.matches("x/a.csv"));
}

#[test]
fn absolute_paths_reach_a_storage_as_well() {
    let fixture = Fixture::new();
    let data = fixture.path("domains/sales/data");
    fixture.edit(
        ORDERS_YAML,
        PATH,
        &format!("path: {}/orders/a.csv", data.display()),
    );
    let source = fixture.orders().source;
    assert_eq!(source.location.prefix(), ["orders", "a.csv"]);
    assert!(!source.location.is_pattern());
    assert!(source.location.matches("orders/a.csv"));
    let fixture2 = Fixture::new();
    fixture2
        .edit(SALES_YAML, "./data/", data.to_str().unwrap())
        .edit(
            ORDERS_YAML,
            PATH,
            &format!("path: {}/orders/a.csv", data.display()),
        );
    assert_eq!(fixture2.orders().source.location.as_str(), "orders/a.csv");
}

fn s3(fixture: &Fixture, url: &str, more: &str, location: &str) {
    fixture
        .edit(
            SALES_YAML,
            "url: ./data/\n",
            &format!("url: {url}\n    {more}\n"),
        )
        .edit(ORDERS_YAML, "type: local", "type: s3")
        .edit(ORDERS_YAML, PATH, &format!("location: {location}"));
}

#[test]
fn s3_storages() {
    let fixture = Fixture::new();
    s3(
        &fixture,
        "s3://acme-sales/lake/",
        "secrets: {access_key_id: env:A, secret_access_key: file:b, session_token: env:C}\n    \
         options: {region: eu-west-1, endpoint: \"http://127.0.0.1:9000\", allow_http: true}",
        "s3://acme-sales/lake/orders/**/*.csv",
    );
    let domain = fixture.sales();
    let storage = &domain.storages[0];
    assert_eq!(
        storage.url,
        StorageUrl::S3 {
            bucket: "acme-sales".to_owned(),
            prefix: vec!["lake".to_owned()],
        }
    );
    assert_eq!(storage.options["allow_http"], "true");
    let Credentials::Secrets(secrets) = &storage.credentials else {
        panic!("no secrets");
    };
    assert_eq!(
        secrets.keys().collect::<Vec<_>>(),
        ["access_key_id", "secret_access_key", "token"]
    );
    assert_eq!(secrets["token"], SecretRef::Env("C".to_owned()));
    assert_eq!(domain.tables[0].source.location.as_str(), "orders/**/*.csv");
}

#[test]
fn a_domain_says_whether_its_files_are_kept() {
    for (more, cache) in [("", true), ("cache: false", false), ("cache: true", true)] {
        let fixture = Fixture::new();
        let more = format!("credentials: anonymous\n    {more}");
        s3(
            &fixture,
            "s3://bucket/lake/",
            &more,
            "s3://bucket/lake/*.csv",
        );
        assert_eq!(fixture.sales().storages[0].cache, cache, "{more}");
    }
    let fixture = Fixture::new();
    fixture.edit(
        SALES_YAML,
        "url: ./data/\n",
        "url: ./data/\n    cache: never\n",
    );
    let fault = fixture.fault();
    assert!(
        fault.contains("error[wrong-value]: `cache` is neither `true` nor `false`"),
        "{fault}"
    );
}

#[test]
fn s3_prefixes_are_compared_segment_by_segment() {
    for (url, location) in [
        ("s3://bucket/sales", "s3://bucket/sales2/a.csv"),
        ("s3://bucket/sales", "s3://bucket2/sales/a.csv"),
        ("s3://bucket/sales", "s3://bucket/a.csv"),
        ("s3://bucket/sales", "s3://bucket/*/a.csv"),
    ] {
        let fixture = Fixture::new();
        s3(&fixture, url, "credentials: anonymous", location);
        assert_eq!(fixture.rules(), ["location-outside-storage"], "{location}");
    }
    let fixture = Fixture::new();
    s3(
        &fixture,
        "s3://bucket",
        "credentials: ambient",
        "s3://bucket/../a.csv",
    );
    assert_eq!(fixture.rules(), ["unsafe-location"]);
}

#[test]
fn options_that_could_probe_the_network_are_refused() {
    for (option, rule, message) in [
        (
            "metadata_endpoint: http://x",
            "forbidden-option",
            "`metadata_endpoint` is not an option that a domain may set",
        ),
        (
            "proxy_url: http://x",
            "forbidden-option",
            "`proxy_url` is not",
        ),
        (
            "imdsv1_fallback: true",
            "forbidden-option",
            "`imdsv1_fallback` is not",
        ),
        (
            "endpoint_url_sts: http://x",
            "forbidden-option",
            "`endpoint_url_sts` is not",
        ),
        ("role_arn: x", "forbidden-option", "`role_arn` is not"),
        (
            "container_credentials_full_uri: x",
            "forbidden-option",
            "`container_credentials_full_uri` is not",
        ),
        (
            "allow_invalid_certificates: true",
            "forbidden-option",
            "`allow_invalid_certificates` is not",
        ),
        ("aws_region: x", "forbidden-option", "it is called `region`"),
        (
            "skip_signature: true",
            "forbidden-option",
            "write `credentials: anonymous`",
        ),
        ("regoin: x", "forbidden-option", "did you mean `region`?"),
        (
            "endpoint: \"http://10.0.0.1\"",
            "wrong-value",
            "plain http, which is off",
        ),
        (
            "endpoint: \"https://169.254.169.254\"",
            "wrong-value",
            "metadata service",
        ),
        (
            "endpoint: \"https://[::ffff:169.254.169.254]\"",
            "wrong-value",
            "metadata service",
        ),
        (
            "endpoint: \"https://metadata.google.internal.\"",
            "wrong-value",
            "metadata service",
        ),
        (
            "endpoint: \"ftp://x\"",
            "wrong-value",
            "must be an http or https URL",
        ),
        ("endpoint: x", "wrong-value", "is not a URL"),
        (
            "allow_http: yes",
            "wrong-value",
            "must be `true` or `false`",
        ),
        (
            "region: [a]",
            "wrong-type",
            "`region` must be a string, found a list",
        ),
    ] {
        let fixture = Fixture::new();
        s3(
            &fixture,
            "s3://bucket/sales",
            &format!("credentials: ambient\n    options: {{{option}}}"),
            "s3://bucket/sales/a.csv",
        );
        assert_eq!(fixture.rules(), [rule], "{option}");
        assert!(fixture.fault().contains(message), "{}", fixture.fault());
    }
}

#[test]
fn storages_are_told_apart() {
    for (more, rule) in [
        (
            "  - name: lake\n    url: ./data/orders\n",
            "duplicate-storage",
        ),
        ("  - name: other\n    url: data\n", "duplicate-storage"),
        ("  - name: Other\n    url: ./data/orders\n", "name"),
        ("  - name: other\n    url: ./data/*\n", "unsafe-location"),
        ("  - name: other\n    url: ../data\n", "unsafe-location"),
        (
            "  - name: other\n    url: gs://bucket/a\n",
            "not-supported-yet",
        ),
        (
            "  - name: other\n    url: s3://a\n    credentials: ambient\n",
            "wrong-value",
        ),
        (
            "  - name: other\n    url: ./data/orders\n    credentials: ambient\n",
            "wrong-value",
        ),
        (
            "  - name: other\n    url: ./data/orders/a.csv\n",
            "missing-file",
        ),
        ("  - other\n", "wrong-type"),
    ] {
        let fixture = Fixture::new();
        fixture.edit(SALES_YAML, "products:", &format!("{more}products:"));
        assert_eq!(fixture.rules(), [rule], "{more}: {:?}", fixture.faults());
    }
}
