# AWS Lambda Web Adapter: an extension that is the runtime, too. What it is built for is a test: quickly.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_TARGET_DIR=build/target
cargo install -q --locked --root build --version 1.0.0-rc1 lambda_web_adapter
mkdir -p opt/extensions
mv build/bin/lambda-adapter opt/extensions/
rm -rf build
