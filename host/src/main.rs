//! The `statmill` command; all of it is in the library, so that tests run the same code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    statmill::serve_as_child();
    statmill::cli::main()
}
