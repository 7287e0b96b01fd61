use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{run, service_fn, Diagnostic, Error, LambdaEvent, MetadataPrelude, StreamResponse};
use serde_json::{json, Value};
use tokio_stream::{Stream, StreamExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var("FAIL_INIT").is_ok() {
        panic!("no module for cards");
    }
    if std::env::var("STREAM").is_ok() {
        return run(service_fn(stream)).await;
    }
    run(service_fn(handle)).await
}

fn card_error() -> Diagnostic {
    Diagnostic { error_type: "CardError".into(), error_message: "no such card".into() }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let (event, context) = event.into_parts();
    let text = event["text"].as_str().unwrap_or("");
    match event["do"].as_str().unwrap_or("") {
        "echo" => Ok(json!({ "text": text })),
        "fail" => Err(card_error()),
        "sleep" => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(Value::Null)
        }
        "eat" => {
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            loop {
                eaten.push(vec![eaten.len() as u8 | 1; 8 << 20]);
            }
        }
        "take" => Ok(json!({ "size": text.len() })),
        "give" => Ok("x".repeat(event["size"].as_u64().unwrap_or(2) as usize - 2).into()),
        _ => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
            Ok(json!({
                "id": context.request_id,
                "leftMs": context.deadline.saturating_sub(now),
                "trace": context.xray_trace_id.unwrap_or_default(),
                "arn": context.invoked_function_arn,
            }))
        }
    }
}

type Parts = Pin<Box<dyn Stream<Item = Result<&'static str, Error>> + Send>>;

async fn stream(event: LambdaEvent<Value>) -> Result<StreamResponse<Parts>, Error> {
    let second = if event.payload["rawPath"] == "/fail" { Err("no such card".into()) } else { Ok("second") };
    let parts = tokio_stream::iter([Ok("first "), second]).then(|part| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        part
    });
    let mut head = MetadataPrelude { cookies: vec!["a=1".into()], ..Default::default() };
    head.status_code = 207.try_into()?;
    head.headers.insert("Content-Type", "text/plain".parse()?);
    head.headers.insert("X-Streamed", "yes".parse()?);
    Ok(StreamResponse { metadata_prelude: head, stream: Box::pin(parts) })
}
