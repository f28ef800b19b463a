//! Lists of accounts. The cost of a page depends on its entries, not on the number of accounts.
//!
//! Role and status are the first columns of every index. So accounts are read in segments (enabled users, disabled users,
//! …), each in order, and SQLite merges them. After a cursor, each segment contributes the rest of the accounts with the
//! same sort value, and those beyond.

use super::users::{columns_without_groups, user_from};
use crate::{
    domain::{
        Error, Page, PageSize, Role, SearchPrefix, SortKey, SortValue, User, UserCursor, UserFilter, UserId, UserSort,
        fold,
    },
    store::{
        Reader,
        sql::{Columns, Fault, Value},
    },
};

/// A search with fewer matches reads all of them and sorts them.
const MIN_MATCHES_TO_WALK: u32 = 1_000;
/// A search with more matches first walks through the list and skips what does not match, for up to this fraction of
/// the number of matches. If matches are dense, that fills the page; otherwise it costs little.
const WALK_SHARE: u32 = 4;
/// Matches are counted up to this number, to choose between the two plans.
const MAX_MATCHES_COUNTED: u32 = 50_000;

/// The accounts that a search matches, between the two bounds of its prefix.
const MATCHES: &str = "(SELECT id AS match FROM users WHERE username_key >= ?1 AND username_key < ?2
     UNION SELECT id FROM users WHERE email_key >= ?1 AND email_key < ?2)";

/// How the accounts of a list are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// In the order of the list, whether or not they match.
    Walk,
    /// Matches only, sorted afterwards.
    MatchAndSort,
}

/// The bounds of all texts with a prefix. Stored text is ASCII, so it sorts before the highest character.
fn bounds(prefix: &SearchPrefix) -> [String; 2] {
    let from = fold(prefix.as_str());
    [from.clone(), from + &char::MAX.to_string()]
}

/// A list, and the position of the page in it.
struct List<'a> {
    filter: &'a UserFilter,
    bounds: Option<[String; 2]>,
    sort: UserSort,
    /// The id of the last account before the page, and its sort value.
    after: Option<(UserId, SortValue)>,
}

impl<'a> List<'a> {
    fn new(filter: &'a UserFilter, sort: UserSort, after: Option<&UserCursor>) -> Self {
        let folded = |value: &SortValue| match value {
            SortValue::Text(text) => SortValue::Text(fold(text)),
            other => other.clone(),
        };
        let after = after.map(|cursor| (cursor.id, folded(&cursor.value)));
        Self { filter, bounds: filter.prefix.as_ref().map(bounds), sort, after }
    }

    /// Builds the query for the first `limit` accounts.
    fn query(&self, plan: Plan, limit: u32) -> (String, Vec<Value<'_>>) {
        let bounds = self.bounds.iter().filter(|_| plan == Plan::MatchAndSort);
        let mut given: Vec<Value<'_>> = bounds.flatten().map(Value::from).collect();
        let places = self.places(&mut given);
        let (key, order) = (key_of(self.sort), if self.sort.descending { " DESC" } else { "" });
        let select = |from: &str| format!("{}, {key} AS k FROM {from}", concat!("SELECT ", columns_without_groups!()));
        let except = except(self.filter);
        let segments = segments(self.filter).into_iter();
        let arms = segments.flat_map(|segment| places.iter().map(move |place| format!("{segment} AND {place}")));
        let arms = arms.map(|arm| arm + &except);
        let arms: Vec<String> = match plan {
            Plan::Walk => arms.map(|chosen| format!("{} WHERE {chosen}", select("users u"))).collect(),
            Plan::MatchAndSort => {
                let chosen: Vec<String> = arms.map(|chosen| format!("({chosen})")).collect();
                vec![format!("{} WHERE {}", select(&matching_users()), chosen.join(" OR "))]
            }
        };
        given.push(limit.into());
        let limit = given.len();
        (format!("{} ORDER BY k{order}, 1{order} LIMIT ?{limit}", arms.join(" UNION ALL ")), given)
    }

    /// The conditions for accounts after a cursor: those with the same sort value and a higher id, and those beyond.
    fn places<'l>(&'l self, given: &mut Vec<Value<'l>>) -> Vec<String> {
        let Some((id, value)) = &self.after else { return vec!["TRUE".to_owned()] };
        let (key, beyond) = (key_of(self.sort), if self.sort.descending { '<' } else { '>' });
        let mut place = |value| {
            given.push(value);
            given.len()
        };
        let by_id = format!("u.id {beyond} ?{}", place(Value::from(*id)));
        let value = match value {
            SortValue::Id => return vec![by_id],
            SortValue::Text(text) => place(Value::from(text)),
            SortValue::Time(millis) => place(Value::from(*millis)),
        };
        vec![format!("{key} = ?{value} AND {by_id}"), format!("{key} {beyond} ?{value}")]
    }
}

fn key_of(sort: UserSort) -> &'static str {
    match sort.key {
        SortKey::Id => "u.id",
        SortKey::Username => "u.username_key",
        SortKey::CreatedAt => "u.created_at",
        SortKey::LastLoginAt => "u.last_login_order",
    }
}

/// The conditions of the segments that a filter selects.
fn segments(filter: &UserFilter) -> Vec<String> {
    let roles = Role::ALL.into_iter().filter(|role| filter.role.is_none_or(|wanted| wanted == *role));
    let statuses = |role: Role| {
        let wanted = [false, true].into_iter().filter(|disabled| filter.disabled.is_none_or(|is| is == *disabled));
        wanted.map(move |disabled| format!("u.role = '{}' AND u.disabled = {disabled}", role.as_str()))
    };
    roles.flat_map(statuses).collect()
}

fn except(filter: &UserFilter) -> String {
    if filter.except.is_empty() {
        return String::new();
    }
    let ids: Vec<String> = filter.except.iter().map(ToString::to_string).collect();
    format!(" AND u.id NOT IN ({})", ids.join(", "))
}

fn matching_users() -> String {
    format!("{MATCHES} AS matches CROSS JOIN users u ON u.id = match")
}

/// Segments are counted one by one: with OR, SQLite remembers every row that it finds.
fn count_sql(filter: &UserFilter) -> String {
    let all = filter.role.is_none() && filter.disabled.is_none();
    match (filter.prefix.is_some(), all) {
        (false, true) => "SELECT count(*) FROM users".to_owned(),
        (true, true) => format!("SELECT count(*) FROM {MATCHES} AS matches"),
        (false, false) => {
            let count = |segment| format!("(SELECT count(*) FROM users u WHERE {segment})");
            format!("SELECT {}", segments(filter).into_iter().map(count).collect::<Vec<_>>().join(" + "))
        }
        (true, false) => {
            let chosen: Vec<String> = segments(filter).into_iter().map(|segment| format!("({segment})")).collect();
            format!("SELECT count(*) FROM {} WHERE {}", matching_users(), chosen.join(" OR "))
        }
    }
}

impl Reader<'_> {
    /// A page of accounts. The cursor, if given, must have the same sort order. Scans.
    pub fn users(
        &self,
        filter: &UserFilter,
        sort: UserSort,
        after: Option<&UserCursor>,
        size: PageSize,
    ) -> Result<Page<User, UserCursor>, Error> {
        if filter.except.is_empty() {
            self.refuse_unknown_segments()?;
        }
        let (list, wanted) = (List::new(filter, sort, after), size.get() + 1);
        let found = match &list.bounds {
            None => self.found(&list, Plan::Walk, wanted)?,
            Some(bounds) => self.search(&list, bounds, wanted)?,
        };
        let mut page = Page::cut(found, size, |user| UserCursor::at(user, sort));
        self.read_groups(&mut page.items)?;
        Ok(page)
    }

    /// Fails if an account has an unknown role or status: it would be in no segment, and so missing from every list.
    /// Reads the ends of an index.
    fn refuse_unknown_segments(&self) -> Result<(), Error> {
        const UNKNOWN: &str = "SELECT id FROM users WHERE role < 'admin'
            UNION ALL SELECT id FROM users WHERE role > 'admin' AND role < 'user'
            UNION ALL SELECT id FROM users WHERE role > 'user'
            UNION ALL SELECT id FROM users WHERE role IN ('admin', 'user') AND disabled < FALSE
            UNION ALL SELECT id FROM users WHERE role IN ('admin', 'user') AND disabled > TRUE LIMIT 1";
        match self.sql.first(UNKNOWN, &[], |row| row.number(0))? {
            None => Ok(()),
            Some(id) => {
                UserId::new(id).map_or(Ok(None), |id| self.user(id))?; // this error names what is damaged
                Err(Error::Internal(format!("the account {id} is damaged")))
            }
        }
    }

    fn search(&self, list: &List<'_>, bounds: &[String; 2], wanted: u32) -> Result<Vec<User>, Error> {
        let matches = self.matches(bounds)?;
        if matches >= MIN_MATCHES_TO_WALK
            && let Some(found) = self.walk(list, bounds, matches / WALK_SHARE, wanted)?
        {
            return Ok(found);
        }
        self.found(list, Plan::MatchAndSort, wanted)
    }

    fn found(&self, list: &List<'_>, plan: Plan, limit: u32) -> Result<Vec<User>, Error> {
        let (sql, given) = list.query(plan, limit);
        Ok(self.sql.all(&sql, &given, user_from)?)
    }

    /// Walks through the first `most` accounts until `wanted` of them match. `None` if there may be more matches
    /// beyond.
    fn walk(&self, list: &List<'_>, bounds: &[String; 2], most: u32, wanted: u32) -> Result<Option<Vec<User>>, Fault> {
        // Stored text is ASCII, and compared without regard to case.
        let prefix = bounds[0].as_bytes();
        let begins = |text: &[u8]| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let (mut found, mut walked) = (Vec::new(), 0);
        let (sql, given) = list.query(Plan::Walk, most);
        self.sql.rows(&sql, &given, &mut |row: &dyn Columns| {
            walked += 1;
            if begins(row.bytes(1)?) || begins(row.bytes(2)?) {
                found.push(user_from(row)?);
            }
            Ok(found.len() < wanted as usize)
        })?;
        Ok((walked < most || found.len() == wanted as usize).then_some(found))
    }

    /// Counts the accounts of a list. Scans all of them, in an index.
    pub fn count_users(&self, filter: &UserFilter) -> Result<u64, Error> {
        let bounds = filter.prefix.as_ref().map(bounds);
        let given: Vec<Value<'_>> = bounds.iter().flatten().map(Value::from).collect();
        let counted = self.sql.only(&count_sql(filter), &given, |row| row.number(0))?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    /// Estimates the number of matches of a search: by username or by e-mail address, whichever is more.
    fn matches(&self, bounds: &[String; 2]) -> Result<u32, Error> {
        const UP_TO: &str = "SELECT
            (SELECT count(*) FROM (SELECT 1 FROM users WHERE username_key >= ?1 AND username_key < ?2 LIMIT ?3) AS a),
            (SELECT count(*) FROM (SELECT 1 FROM users WHERE email_key >= ?1 AND email_key < ?2 LIMIT ?3) AS b)";
        let [from, to] = bounds.each_ref().map(Value::from);
        let more = |row: &dyn Columns| Ok(row.number(0)?.max(row.number(1)?));
        Ok(u32::try_from(self.sql.only(UP_TO, &[from, to, MAX_MATCHES_COUNTED.into()], more)?)
            .unwrap_or(MAX_MATCHES_COUNTED))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, reader};
    use super::*;
    use rusqlite::{Connection, StatementStatus};

    fn filters() -> Vec<UserFilter> {
        let mut filters = Vec::new();
        for prefix in [None, SearchPrefix::parse("user7").ok()] {
            for role in [None, Some(Role::User), Some(Role::Admin)] {
                for disabled in [None, Some(false), Some(true)] {
                    filters.push(UserFilter { prefix: prefix.clone(), role, disabled, except: vec![] });
                }
            }
        }
        filters
    }

    /// A database with so many accounts: each tenth is an administrator, each seventh disabled, many made in the same
    /// moment, half of them never signed in.
    fn database(count: u32) -> Connection {
        let connection = empty();
        connection
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash, password_version, role, disabled,
                                    revision, created_at, updated_at, last_login_at)
                 SELECT 'User' || i, 'user' || i, 'user' || (?1 - i) || '@example.com', 'user' || (?1 - i) || '@example.com', 0, 'x', 1, iif(i % 10, 'user', 'admin'),
                        i % 7 = 0, 1, i / 50, 0, iif(i % 2, NULL, 1000 - i % 100) FROM n",
                [count],
            )
            .unwrap();
        connection
    }

    fn value_of(sort: UserSort) -> SortValue {
        match sort.key {
            SortKey::Id => SortValue::Id,
            SortKey::Username => SortValue::Text(String::new()),
            SortKey::CreatedAt | SortKey::LastLoginAt => SortValue::Time(0),
        }
    }

    fn plan_of(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>();
        lines.unwrap()
    }

    #[test]
    fn every_filter_and_every_order_uses_an_index() {
        let connection = database(10);
        for filter in filters() {
            for sort in UserSort::ALL {
                for after in [false, true] {
                    let by_match = filter.prefix.as_ref().map(|_| Plan::MatchAndSort);
                    for plan in [Plan::Walk].into_iter().chain(by_match) {
                        let cursor =
                            after.then(|| UserCursor { sort, value: value_of(sort), id: UserId::new(1).unwrap() });
                        let list = List::new(&filter, sort, cursor.as_ref());
                        let lines = plan_of(&connection, &list.query(plan, 1).0);
                        let reads = lines.iter().filter(|line| line.contains(" u ") || line.contains(" users "));
                        for line in reads {
                            assert!(
                                line.starts_with("SEARCH ") && line.contains(" USING "),
                                "{plan:?} {sort:?} {line}"
                            );
                        }
                        let sorts = lines.iter().any(|line| line.contains("FOR ORDER BY"));
                        assert_eq!(sorts, plan == Plan::MatchAndSort, "{plan:?} {sort:?} {filter:?} {lines:?}");
                    }
                }
            }
            let lines = plan_of(&connection, &count_sql(&filter));
            let whole = |line: &String| line.starts_with("SCAN u") && !line.contains("USING COVERING INDEX");
            assert!(!lines.iter().any(whole), "{filter:?} {lines:?}");
        }
    }

    /// Every page from the first to the last, and how many steps SQLite's machine took for the dearest.
    fn walk(connection: &Connection, filter: &UserFilter, sort: UserSort, size: &str) -> (Vec<User>, u64) {
        let (reader, mut users, mut dearest) = (reader(connection), Vec::new(), 0);
        let mut cursor: Option<UserCursor> = None;
        loop {
            let page = reader.users(filter, sort, cursor.as_ref(), PageSize::parse(size).unwrap()).unwrap();
            let by_match = filter.prefix.as_ref().map(|_| Plan::MatchAndSort);
            let steps = [Plan::Walk].into_iter().chain(by_match).map(|plan| {
                let list = List::new(filter, sort, cursor.as_ref());
                let statement = connection.prepare_cached(&list.query(plan, 1).0).unwrap();
                u64::try_from(statement.reset_status(StatementStatus::VmStep)).unwrap()
            });
            dearest = dearest.max(steps.sum());
            users.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return (users, dearest);
            }
        }
    }

    #[test]
    fn the_pages_of_a_list_are_the_whole_list_in_order() {
        let connection = database(1_000);
        let reader = reader(&connection);
        for filter in filters() {
            for sort in UserSort::ALL {
                let (users, _) = walk(&connection, &filter, sort, "37");
                let matches = |user: &User| {
                    let name = user.username.as_str().to_lowercase();
                    filter.prefix.as_ref().is_none_or(|prefix| {
                        name.starts_with(prefix.as_str()) || user.email.as_str().starts_with(prefix.as_str())
                    }) && filter.role.is_none_or(|role| role == user.role)
                        && filter.disabled.is_none_or(|disabled| disabled == user.disabled)
                };
                let (mut expected, _) = walk(&connection, &UserFilter::default(), UserSort::default(), "200");
                expected.retain(matches);
                expected.sort_by_key(|user| match sort.key {
                    SortKey::Id => (0, String::new(), user.id),
                    SortKey::Username => (0, user.username.as_str().to_lowercase(), user.id),
                    SortKey::CreatedAt => (user.created_at.as_millis(), String::new(), user.id),
                    SortKey::LastLoginAt => (user.last_login_at.map_or(0, |at| at.as_millis()), String::new(), user.id),
                });
                if sort.descending {
                    expected.reverse();
                }
                assert_eq!(users.len(), expected.len(), "{filter:?} {sort:?}");
                assert!(users.iter().zip(&expected).all(|(user, other)| user.id == other.id), "{filter:?} {sort:?}");
                assert_eq!(reader.count_users(&filter).unwrap(), users.len() as u64, "{filter:?}");
            }
        }
    }

    #[test]
    fn a_page_of_many_accounts_costs_what_a_page_of_few_does() {
        let (few, many) = (database(5_000), database(30_000));
        for filter in filters().into_iter().filter(|filter| filter.prefix.is_none()) {
            for sort in UserSort::ALL {
                let ((_, of_few), (_, of_many)) = (walk(&few, &filter, sort, "50"), walk(&many, &filter, sort, "50"));
                assert!(of_many * 2 <= of_few * 3, "{filter:?} {sort:?}: {of_few} and {of_many} steps");
            }
        }
    }

    /// Adds accounts that came in one import, after all others.
    fn import(connection: &Connection, count: u32) {
        connection
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash, password_version, role, disabled,
                                    revision, created_at, updated_at, last_login_at)
                 SELECT 'Zoe' || i, 'zoe' || i, 'zoe' || i || '@example.com', 'zoe' || i || '@example.com', 0, 'x', 1, 'user', 0, 1, 9e9, 9e9, 9e9 + i FROM n",
                [count],
            )
            .unwrap();
    }

    #[test]
    fn a_search_that_finds_much_finds_the_same() {
        let connection = database(MIN_MATCHES_TO_WALK * 5);
        import(&connection, MIN_MATCHES_TO_WALK * 2);
        let reader = reader(&connection);
        for sort in UserSort::ALL {
            let (all, _) = walk(&connection, &UserFilter::default(), sort, "200");
            for prefix in ["user", "ZOE", "zoe1", "USER499", "x'y%"] {
                let filter = UserFilter { prefix: SearchPrefix::parse(prefix).ok(), ..UserFilter::default() };
                let begins = |text: &str| text.to_lowercase().starts_with(&prefix.to_lowercase());
                let expected = all.iter().filter(|user| begins(user.username.as_str()) || begins(user.email.as_str()));

                let (found, _) = walk(&connection, &filter, sort, "200");

                assert!(found.iter().map(|user| user.id).eq(expected.map(|user| user.id)), "{prefix} {sort:?}");
                assert_eq!(reader.count_users(&filter).unwrap(), found.len() as u64, "{prefix} {sort:?}");
            }
        }
    }

    #[test]
    fn a_search_costs_what_its_matches_do_wherever_they_lie() {
        let (few, many) = (database(5_000), database(30_000));
        let filter = UserFilter { prefix: SearchPrefix::parse("zoe").ok(), ..UserFilter::default() };
        for connection in [&few, &many] {
            import(connection, MIN_MATCHES_TO_WALK * 2);
        }
        for sort in UserSort::ALL {
            let ((_, of_few), (_, of_many)) = (walk(&few, &filter, sort, "50"), walk(&many, &filter, sort, "50"));
            assert!(of_many * 2 <= of_few * 3, "{sort:?}: {of_few} and {of_many} steps");
        }
    }
}
