# Rust: one program.
cargo build -q --release --locked
mv target/release/bootstrap .
rm -rf target
