//! The version and the architecture of an installed `pam_twofa.so`, read without loading it: see elf(5).

/// The name of our notes, as they have it.
const NOTE_NAME: &[u8] = b"twofa\0";
/// The kind of the note that has the version.
const VERSION_NOTE: u32 = 1;
/// `PT_NOTE` of a program header.
const NOTES: u32 = 4;

/// An ELF file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elf<'a> {
    bytes: &'a [u8],
    is_64_bit: bool,
    is_big_endian: bool,
}

/// What programs can load a file: those of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Architecture {
    machine: u16,
    is_64_bit: bool,
    is_big_endian: bool,
}

impl<'a> Elf<'a> {
    /// The file with this content; `None`: it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (class, order) = (bytes.get(4)?, bytes.get(5)?);
        let is_elf = bytes.starts_with(b"\x7fELF") && (1..=2).contains(class);
        is_elf.then_some(Self {
            bytes,
            is_64_bit: *class == 2,
            is_big_endian: *order == 2,
        })
    }

    pub(super) fn architecture(&self) -> Option<Architecture> {
        Some(Architecture {
            machine: u16::try_from(self.number(18, 2)?).ok()?,
            is_64_bit: self.is_64_bit,
            is_big_endian: self.is_big_endian,
        })
    }

    /// The version in our note; `None`: there is no note, or it is not whole.
    pub(super) fn version(&self) -> Option<String> {
        let (table, size, count) = if self.is_64_bit {
            (
                self.number(32, 8)?,
                self.number(54, 2)?,
                self.number(56, 2)?,
            )
        } else {
            (
                self.number(28, 4)?,
                self.number(42, 2)?,
                self.number(44, 2)?,
            )
        };
        (0..count).find_map(|index| self.version_in(table.checked_add(size.checked_mul(index)?)?))
    }

    /// The version, if the program header at `header` leads to it.
    fn version_in(&self, header: u64) -> Option<String> {
        if self.number(header, 4)? != u64::from(NOTES) {
            return None;
        }
        let (offset, size) = if self.is_64_bit {
            (self.number(header + 8, 8)?, self.number(header + 32, 8)?)
        } else {
            (self.number(header + 4, 4)?, self.number(header + 16, 4)?)
        };
        let (mut note, end) = (offset, offset.checked_add(size)?);
        while note < end {
            let [name_size, text_size, kind] =
                [0, 4, 8].map(|at| self.number(note.checked_add(at)?, 4));
            let (name_size, text_size) = (name_size?, text_size?);
            let name = self.slice(note + 12, name_size)?;
            let text = self.slice(note + 12 + name_size.next_multiple_of(4), text_size)?;
            if name == NOTE_NAME && kind == Some(u64::from(VERSION_NOTE)) {
                let text = String::from_utf8_lossy(text);
                return Some(text.trim_end_matches('\0').to_owned());
            }
            note += 12 + name_size.next_multiple_of(4) + text_size.next_multiple_of(4);
        }
        None
    }

    /// The number of `size` bytes, at most eight, at `offset`.
    fn number(&self, offset: u64, size: u64) -> Option<u64> {
        let bytes = self.slice(offset, size)?.iter();
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big_endian {
            bytes.fold(0, add)
        } else {
            bytes.rev().fold(0, add)
        })
    }

    fn slice(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(usize::try_from(size).ok()?)?;
        self.bytes.get(offset..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 64 or 32 bits with another program's note and ours, in one segment.
    fn file(is_64_bit: bool, is_big_endian: bool) -> Vec<u8> {
        let mut file = vec![0; 256];
        let mut put = |at: usize, size: usize, number: u64| {
            let bytes = number.to_be_bytes();
            let bytes = &bytes[8 - size..];
            file[at..at + size].copy_from_slice(bytes);
            if !is_big_endian {
                file[at..at + size].reverse();
            }
        };
        let (word, header) = if is_64_bit { (8, 64) } else { (4, 52) };
        put(18, 2, 62);
        let (table, count) = if is_64_bit { (32, 54) } else { (28, 42) };
        put(table, word, header as u64);
        put(count, 2, 56);
        put(count + 2, 2, 1);
        put(header, 4, 4);
        let (offset, size) = if is_64_bit { (8, 32) } else { (4, 16) };
        put(header + offset, word, 128);
        put(header + size, word, 20 + 28);
        for (at, number) in [(128, 4), (132, 4), (136, 1), (148, 6), (152, 8), (156, 1)] {
            put(at, 4, number);
        }
        file[..4].copy_from_slice(b"\x7fELF");
        file[4] = 1 + u8::from(is_64_bit);
        file[5] = 1 + u8::from(is_big_endian);
        file[140..144].copy_from_slice(b"GNU\0");
        file[160..166].copy_from_slice(NOTE_NAME);
        file[168..173].copy_from_slice(b"1.2.3");
        file
    }

    #[test]
    fn the_version_is_found_behind_other_notes_on_every_architecture() {
        for (is_64_bit, is_big_endian) in
            [(true, false), (true, true), (false, false), (false, true)]
        {
            let file = file(is_64_bit, is_big_endian);
            let elf = Elf::read(&file).unwrap();
            assert_eq!(
                elf.version().as_deref(),
                Some("1.2.3"),
                "{is_64_bit} {is_big_endian}"
            );
            assert_eq!(elf.architecture().unwrap().machine, 62);
        }
    }

    #[test]
    fn what_is_cut_off_or_no_such_file_has_no_version() {
        let file = file(true, false);
        assert!(Elf::read(b"#!/bin/sh\n").is_none());
        for length in 0..172 {
            let version = Elf::read(&file[..length]).and_then(|elf| elf.version());
            assert_eq!(version, None, "{length}");
        }
        let mut endless = file.clone();
        endless[148..156].fill(0xff);
        assert_eq!(Elf::read(&endless).unwrap().version(), None);
    }
}
