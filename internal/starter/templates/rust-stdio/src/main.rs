//! Greets visitors: answers each event with another, which dalamb publishes.

use std::io::{self, BufRead, Write};

use serde_json::{json, Value};

fn handle(event: &Value) -> Result<Value, String> {
    let name = event["data"]["name"].as_str().ok_or("data has no name")?;
    eprintln!("greeting {name}"); // stderr is the log
    Ok(json!({
        "specversion": "1.0",
        "type": "visitor.greeted",
        "source": "/{{name}}",
        "data": { "greeting": format!("Hello, {name}!") },
    }))
}

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        // An event is a line, and so is its answer: stdout is for answers alone.
        let answer = serde_json::from_str(&line?)
            .map_err(|e| e.to_string())
            .and_then(|event| handle(&event))
            .unwrap_or_else(|e| json!({ "errorMessage": e })); // the run has failed; dalamb tries it again
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        let answer = handle(&json!({ "data": { "name": "Ann" } })).unwrap();
        assert_eq!(answer["type"], "visitor.greeted");
        assert_eq!(answer["data"], json!({ "greeting": "Hello, Ann!" }));
    }

    #[test]
    fn fails_without_a_name() {
        assert!(handle(&json!({ "data": {} })).is_err());
    }
}
