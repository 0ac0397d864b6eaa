//! Code that runs while the library is being mapped, before anything can be asked of it.

use crate::{deeds, mark};

#[used]
// SAFETY: the section holds pointers to functions that the loader calls once, without arguments that count.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructed;

extern "C" fn constructed() {
    if let Some(deed) = mark::before().strip_prefix("constructor: ") {
        deeds::commit(deed);
    }
}
