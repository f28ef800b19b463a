//! The executable `usher`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    usher::cli::main()
}
