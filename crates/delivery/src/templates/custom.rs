//! An administrator's templates.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use minijinja::Environment;
use twofa_core::text::decode;

use super::context::{SAMPLE_CODE, TemplateContext, environment, one_line};
use crate::error::{SendError, Step};

/// The maximum size of a template, in bytes.
const MAX_SIZE: u64 = 64 * 1024;

/// The maximum number of problems that are kept.
const MAX_PROBLEMS: usize = 50;

/// The valid templates in an administrator's directory, and what is wrong with the others.
pub(super) struct CustomTemplates {
    dir: PathBuf,
    environment: Environment<'static>,
    problems: Mutex<Vec<SendError>>,
}

impl CustomTemplates {
    /// Loads the templates in `dir` whose names are among `names`. The directory need not exist.
    pub(super) fn load(dir: &Path, names: &[&str]) -> Self {
        let mut templates = Self {
            dir: dir.to_owned(),
            environment: environment(),
            problems: Mutex::default(),
        };
        let files = match std::fs::read_dir(dir) {
            Ok(files) => files,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    templates.add_problem(problem(dir, None, &error.to_string()));
                }
                return templates;
            }
        };
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_backup(&name) {
                continue;
            }
            if let Err(problem) = templates.add(&name, &path, names) {
                templates.environment.remove_template(&name);
                templates.add_problem(problem);
            }
        }
        templates
    }

    pub(super) fn problems(&self) -> Vec<SendError> {
        self.problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.environment.get_template(name).is_ok()
    }

    /// Renders the template `name`. `None`: there is none, or it fails for this message, which is added to the
    /// problems.
    pub(super) fn render(&self, name: &str, context: &TemplateContext<'_>) -> Option<String> {
        let template = self.environment.get_template(name).ok()?;
        match template.render(context.value()) {
            Ok(text) => Some(text),
            Err(error) => {
                self.add_problem(self.describe(name, &error, context.code));
                None
            }
        }
    }

    fn add(&mut self, name: &str, path: &Path, names: &[&str]) -> Result<(), SendError> {
        if !names.contains(&name) {
            let unknown = problem(path, None, "there is no template of this name");
            return Err(unknown.hinted(format!("the templates are {}", names.join(", "))));
        }
        let size = std::fs::metadata(path)
            .map_err(|error| problem(path, None, &error.to_string()))?
            .len();
        if size > MAX_SIZE {
            let why = format!("the file is larger than {MAX_SIZE} bytes");
            return Err(problem(path, None, &why));
        }
        let source =
            std::fs::read(path).map_err(|error| problem(path, None, &error.to_string()))?;
        let source = decode(&source).map_err(|error| problem(path, None, &error.to_string()))?;
        self.environment
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| self.describe(name, &error, None))?;

        for context in TemplateContext::samples(name) {
            let template = self.environment.get_template(name);
            let text = template.and_then(|template| template.render(context.value()));
            let text = text.map_err(|error| self.describe(name, &error, None))?;
            if context.message == "code"
                && !name.ends_with(".subject")
                && !text.contains(SAMPLE_CODE)
            {
                let why = "it does not contain the code: {{ code }} is missing";
                return Err(problem(path, None, why));
            }
        }
        Ok(())
    }

    fn describe(&self, name: &str, error: &minijinja::Error, code: Option<&str>) -> SendError {
        let detail = error
            .detail()
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default();
        let mut why = format!("{}{detail}", error.kind());
        if let Some(code) = code {
            why = why.replace(code, "[…]");
        }
        problem(&self.dir.join(name), error.line(), &why)
    }

    fn add_problem(&self, problem: SendError) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < MAX_PROBLEMS && !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

impl fmt::Debug for CustomTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomTemplates")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Whether a file is an editor's or a package manager's copy of another one.
fn is_backup(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || name.contains(".dpkg-")
        || name.ends_with(".rpmnew")
}

fn problem(path: &Path, line: Option<usize>, why: &str) -> SendError {
    let line = line
        .map(|line| format!(", line {line}"))
        .unwrap_or_default();
    SendError::new(
        Step::Settings,
        format!("{}{line}: {}", path.display(), one_line(why)),
    )
    .hinted("until this template is corrected or removed, the built-in one is used")
}
