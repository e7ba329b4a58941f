//! Data files: what a provider's requests and answers look like.
//!
//! [`mod@parse`] turns the text of a file into a [`DataFile`], whose fields are in [`schema`]. Parsing is strict: a
//! [`DataFile`] has no unknown keys, its templates ([`template`]) and JSON paths ([`json`]) are well-formed, and its
//! parts fit together ([`validity`]). Mistakes are therefore found when a file is read and not when a code is to be
//! sent. [`built_in`] has the files of this crate, [`custom`] reads an administrator's.

pub(super) mod built_in;
pub(super) mod custom;
mod json;
mod parse;
mod schema;
mod template;
mod validity;

pub(super) use json::{JsonTemplate, Path, scalar};
pub(super) use schema::{
    AnswerFormat, Auth, COMMON_SETTINGS, DataFile, HttpMethod, InboxSpec, KnownError, RequestSpec,
    Success, TimeFormat,
};
pub(super) use template::{Template, Values};

#[cfg(test)]
pub(super) use parse::parse;
