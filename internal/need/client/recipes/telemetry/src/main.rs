// Hears what the Telemetry API tells of its instance, and says it as AWS's client of extensions understands it.
use lambda_extension::{service_fn, Error, Extension, LambdaEvent, LambdaTelemetry, NextEvent, SharedService};

async fn heard(records: Vec<LambdaTelemetry>) -> Result<(), Error> {
    for r in records {
        println!("heard {:?}", r.record);
    }
    Ok(())
}

async fn told(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(e) => println!("told of {} until {}", e.request_id, e.deadline_ms),
        NextEvent::Shutdown(e) => println!("told to end: {}", e.shutdown_reason),
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Extension::new()
        .with_events_processor(service_fn(told))
        .with_telemetry_types(&["platform", "function"])
        .with_telemetry_processor(SharedService::new(service_fn(heard)))
        .run()
        .await
}
