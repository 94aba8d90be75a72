//! Session options by hand: the messages of `Flight.proto`.

use std::collections::BTreeMap;

use prost::Message;
use tonic::Status;

use crate::support::TestClient;

/// `SetSessionOptionsRequest`, `GetSessionOptionsResult`: the same shape.
#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(btree_map = "string, message", tag = "1")]
    options: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

/// Option to the number of its error.
#[derive(Clone, PartialEq, Message)]
struct SetResult {
    #[prost(btree_map = "string, message", tag = "1")]
    errors: BTreeMap<String, OptionError>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionError {
    #[prost(int32, tag = "1")]
    value: i32,
}

/// What is wrong with which option.
pub(super) async fn set(
    client: &TestClient,
    values: &[(&str, Option<&str>)],
) -> Result<Vec<(String, i32)>, Status> {
    let options = values.iter().map(|(name, value)| {
        let text = value.map(str::to_owned);
        ((*name).to_owned(), Value { text })
    });
    let body = Options {
        options: options.collect(),
    };
    let results = client
        .action("SetSessionOptions", body.encode_to_vec())
        .await?;
    let result = SetResult::decode(results[0].as_slice()).unwrap();
    let errors = result.errors.into_iter();
    Ok(errors.map(|(name, error)| (name, error.value)).collect())
}

/// The value of one option of the session.
pub(super) async fn get(client: &TestClient, name: &str) -> Option<String> {
    let results = client.action("GetSessionOptions", vec![]).await.unwrap();
    let mut result = Options::decode(results[0].as_slice()).unwrap();
    result.options.remove(name)?.text
}
