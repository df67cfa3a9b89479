//! A static library of one object file, in the format of System V and GNU `ar`: what linkers take for `-lNAME`.
//!
//! A member is a header of 60 characters and its bytes, padded to an even length. The first member is an
//! index: the number of symbols, for each the position of the member that defines it (big-endian), and the
//! names.

/// The bytes before the first member.
const MAGIC: &[u8] = b"!<arch>\n";
/// The bytes of a member's header.
const HEADER: usize = 60;

/// The library that holds an object file defining these symbols. The name of the member is at most 15 characters of
/// `name`.
pub(super) fn archive(name: &str, object: &[u8], symbols: &[String]) -> Vec<u8> {
    let names: Vec<u8> = symbols
        .iter()
        .flat_map(|symbol| symbol.bytes().chain([0]))
        .collect();
    let index_len = 4 + 4 * symbols.len() + names.len();
    let position = MAGIC.len() + HEADER + index_len.next_multiple_of(2);
    let mut index = Vec::new();
    index.extend((symbols.len() as u32).to_be_bytes());
    for _ in symbols {
        index.extend((position as u32).to_be_bytes());
    }
    index.extend(names);
    let short: String = name.chars().take(13).collect();
    let mut library = MAGIC.to_vec();
    member(&mut library, "/", &index);
    member(&mut library, &format!("{short}.o/"), object);
    library
}

fn member(library: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    // Name, time, owner, group, mode, size. No clock and no user: the same input gives the same file.
    let header = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        0,
        "100644",
        bytes.len()
    );
    debug_assert_eq!(header.len(), HEADER);
    library.extend(header.bytes());
    library.extend(bytes);
    if bytes.len() % 2 == 1 {
        library.push(b'\n');
    }
}
