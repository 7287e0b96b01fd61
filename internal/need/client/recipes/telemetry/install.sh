# An extension by AWS's client of the Extensions and Telemetry APIs for Rust.
cargo build -q --release --locked
mkdir -p opt/extensions
mv target/release/telemetry opt/extensions/
rm -rf target
