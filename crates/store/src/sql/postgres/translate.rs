//! A statement as PostgreSQL wants it, where one text serves both engines.

/// `?1` becomes `$1`, and `user`, which is a word of PostgreSQL's own, is quoted. Texts in quotation marks stay.
pub(in crate::sql) fn translate(sql: &str) -> String {
    translate_from(sql, 0)
}

/// The same, of one statement among several, the others of which have so many parameters `before` its own: `?1` becomes the
/// number after those.
pub(in crate::sql) fn translate_from(sql: &str, before: usize) -> String {
    let mut translated = String::with_capacity(sql.len() + 16);
    let mut rest = sql;
    let mut is_number = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ if is_part_of_a_word(first) => {
                rest.find(|c| !is_part_of_a_word(c)).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        let (part, others) = rest.split_at(length);
        match part {
            "?" => translated.push('$'),
            "user" => translated.push_str("\"user\""),
            part => match part.parse::<usize>() {
                Ok(number) if is_number => translated.push_str(&(before + number).to_string()),
                _ => translated.push_str(part),
            },
        }
        is_number = part == "?";
        rest = others;
    }
    translated
}

const fn is_part_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_and_the_table_of_users_is_quoted() {
        let translated =
            translate("SELECT user.name, user_id FROM user WHERE id = ?12 AND x <> 'user ?1'");
        assert_eq!(
            translated,
            r#"SELECT "user".name, user_id FROM "user" WHERE id = $12 AND x <> 'user ?1'"#
        );
        assert_eq!(translate_from("?1 = 1 OR ?2", 12), "$13 = 1 OR $14");
    }
}
