//! The `statmill` command, built where the tests can find it and with their features.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    statmill::serve_as_child();
    statmill::cli::main()
}
