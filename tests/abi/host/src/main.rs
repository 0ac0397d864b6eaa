//! The smallest host: `abi-host PLUGIN...` loads each, folds two messages and prints one line.
//!
//! The check of versions is the one of statmill's loader.

use std::path::Path;
use std::process::ExitCode;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::lib_header_from_path;
use statmill_plugin_api::abi::{BatchAbi, DictionaryAbi, PluginModule_Ref, SinkAbi};
use statmill_plugin_api::encoding::BlockReader;
use statmill_plugin_api::manifest::PluginManifest;
use statmill_plugin_api::serde_json;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    // All are loaded before the first is used: several of one type must not be mixed up.
    let loaded: Vec<_> = std::env::args_os().skip(1).map(|path| load(Path::new(&path))).collect();
    for module in loaded {
        match module.and_then(|(module, check)| Ok(format!("{check} {}", run(module)?))) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                println!("refused: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The plugin at `path`, and by which check it was let in.
fn load(path: &Path) -> Result<(PluginModule_Ref, &'static str), String> {
    let header = lib_header_from_path(path).map_err(|error| first_line(&error))?;
    if let Ok(module) = header.init_root_module::<PluginModule_Ref>() {
        return Ok((module, "same-or-newer"));
    }
    // An older plugin: what it knows of the API must be a prefix of what this host knows.
    let theirs = header.layout().ok_or("the plugin tells no layout")?;
    check_layout_compatibility(theirs, <PluginModule_Ref as StableAbi>::LAYOUT)
        .map_err(|error| first_line(&error))?;
    // SAFETY: the layouts were compared, with the roles swapped.
    let module = unsafe { header.init_root_module_with_unchecked_layout::<PluginModule_Ref>() };
    Ok((module.map_err(|error| first_line(&error))?, "older"))
}

/// abi_stable's errors are hundreds of lines.
fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// Folds two messages of one topic, and tells what the plugin answered.
fn run(module: PluginModule_Ref) -> Result<String, String> {
    let text = module.describe()().into_result().map_err(String::from)?;
    let manifest: PluginManifest =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let ident = manifest.stats[0].ident.as_str();
    let created = module.create()(ident.into(), "".into());
    let mut instance = created.into_result().map_err(String::from)?;

    let topics: Vec<Box<str>> = vec!["a.b".into()];
    let batch = BatchAbi {
        log_key: 1,
        offsets: [5, 9].as_slice().into(),
        times: [0, 1].as_slice().into(),
        topics: [0, 0].as_slice().into(),
        rows: [0, 1].as_slice().into(),
        columns: [].as_slice().into(),
        topic_names: DictionaryAbi::of(&topics),
        text: [].as_slice().into(),
        unescaped: [].as_slice().into(),
        reserved: [0; 4],
    };
    let report = instance.stat.fold(&batch).into_result().map_err(String::from)?;

    let mut rows = Vec::new();
    let mut take: &mut dyn FnMut(u32, &[u8]) -> bool = &mut |_, block| {
        rows.extend(
            BlockReader::new(block).flatten().map(|(key, value)| format!("{key:?}={value:?}")),
        );
        true
    };
    let dictionaries = [DictionaryAbi::of(&topics)];
    let drained = instance.stat.drain(dictionaries.as_slice().into(), SinkAbi::of(&mut take));
    drained.into_result().map_err(String::from)?;
    let new = since_1_1(module, &instance);
    Ok(format!("api={} rows={} {}{new}", manifest.api, report.rows, rows.join(" ")))
}

#[cfg(not(feature = "api-1-1"))]
fn since_1_1(_: PluginModule_Ref, _: &statmill_plugin_api::abi::PluginInstance) -> String {
    String::new()
}

#[cfg(feature = "api-1-1")]
fn since_1_1(
    module: PluginModule_Ref,
    instance: &statmill_plugin_api::abi::PluginInstance,
) -> String {
    let field = module.build_info().map_or("none".to_owned(), |build_info| build_info().into());
    let method = instance.stat.self_test();
    format!(" build_info={field} self_test={method}")
}
