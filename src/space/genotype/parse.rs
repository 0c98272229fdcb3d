//! `NAME = Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=[2, 3])`.

use std::str::FromStr;

use super::{CellGenotype, Genotype, Primitive};

/// Why a text is no genotype. Places are those of characters, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum GenotypeError {
    #[error("genotype, character {place}: {wanted} is needed, got {found}")]
    Syntax { place: usize, wanted: &'static str, found: String },
    #[error("genotype: the field `{0}` is missing; it has normal, normal_concat, reduce, reduce_concat")]
    Missing(&'static str),
    #[error("genotype, character {place}: `{given}` is no field; it has normal, normal_concat, reduce, reduce_concat")]
    Field { place: usize, given: String },
    #[error("genotype, character {place}: the field `{given}` stands here twice")]
    Twice { place: usize, given: String },
    #[error("genotype, character {place}: operator `{given}` is none of {}", names())]
    Primitive { place: usize, given: String },
    #[error("genotype: `{field}` needs two operators for each node, got {given}")]
    Pairs { field: &'static str, given: usize },
    #[error("genotype: node {node} of `{field}` reads members below {node}, got {given}")]
    Member { field: &'static str, node: usize, given: usize },
    #[error("genotype: `{field}` names members below {members}, each once and at least one, got {given:?}")]
    Concat { field: &'static str, members: usize, given: Vec<usize> },
}

fn names() -> String {
    Primitive::ALL.map(Primitive::name).join(", ")
}

/// Most nodes of a cell: beyond any that was published, and small enough to wire.
const MOST_NODES: usize = 64;

impl FromStr for Genotype {
    type Err = GenotypeError;

    fn from_str(text: &str) -> Result<Self, GenotypeError> {
        let mut reader = Reader { rest: text, read: 0 };
        let mut name = None;
        let mut word = reader.word("`Genotype(`")?;
        if reader.skip("=") {
            name = Some(word);
            word = reader.word("`Genotype(`")?;
        }
        if word != "Genotype" {
            reader.read -= word.chars().count();
            return Err(reader.syntax_at("`Genotype(`", format!("`{word}`")));
        }
        reader.need("(", "`(`")?;
        let mut fields = Fields::default();
        reader.list(")", |reader| fields.field(reader))?;
        reader.end()?;
        fields.genotype(name)
    }
}

type Edges = Vec<(Primitive, usize)>;

#[derive(Default)]
struct Fields {
    normal: Option<Edges>,
    normal_concat: Option<Vec<usize>>,
    reduce: Option<Edges>,
    reduce_concat: Option<Vec<usize>>,
}

impl Fields {
    fn field(&mut self, reader: &mut Reader<'_>) -> Result<(), GenotypeError> {
        let place = reader.place();
        let given = reader.word("a field")?;
        reader.need("=", "`=`")?;
        let twice = match given.as_str() {
            "normal" => self.normal.replace(reader.edges()?).is_some(),
            "reduce" => self.reduce.replace(reader.edges()?).is_some(),
            "normal_concat" => self.normal_concat.replace(reader.members()?).is_some(),
            "reduce_concat" => self.reduce_concat.replace(reader.members()?).is_some(),
            _ => return Err(GenotypeError::Field { place, given }),
        };
        if twice { Err(GenotypeError::Twice { place, given }) } else { Ok(()) }
    }

    fn genotype(self, name: Option<String>) -> Result<Genotype, GenotypeError> {
        let need = |field| GenotypeError::Missing(field);
        let normal = self.normal.ok_or_else(|| need("normal"))?;
        let normal_concat = self.normal_concat.ok_or_else(|| need("normal_concat"))?;
        let reduce = self.reduce.ok_or_else(|| need("reduce"))?;
        let reduce_concat = self.reduce_concat.ok_or_else(|| need("reduce_concat"))?;
        Ok(Genotype {
            name,
            normal: cell(["normal", "normal_concat"], &normal, normal_concat)?,
            reduce: cell(["reduce", "reduce_concat"], &reduce, reduce_concat)?,
        })
    }
}

fn cell(fields: [&'static str; 2], edges: &Edges, concat: Vec<usize>) -> Result<CellGenotype, GenotypeError> {
    let [field, concat_field] = fields;
    let (pairs, rest) = edges.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() || pairs.len() > MOST_NODES {
        return Err(GenotypeError::Pairs { field, given: edges.len() });
    }
    for (place, pair) in pairs.iter().enumerate() {
        let node = place + 2;
        if let Some((_, given)) = pair.iter().find(|(_, member)| *member >= node) {
            return Err(GenotypeError::Member { field, node, given: *given });
        }
    }
    let members = pairs.len() + 2;
    let twice = |(place, member): (usize, &usize)| concat[..place].contains(member);
    if concat.is_empty() || concat.iter().any(|member| *member >= members) || concat.iter().enumerate().any(twice) {
        return Err(GenotypeError::Concat { field: concat_field, members, given: concat });
    }
    Ok(CellGenotype { nodes: pairs.to_vec(), concat })
}

struct Reader<'a> {
    rest: &'a str,
    /// Characters before `rest`.
    read: usize,
}

impl Reader<'_> {
    fn advance(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.read += gone.chars().count();
        self.rest = rest;
    }

    fn blanks(&mut self) {
        self.advance(self.rest.len() - self.rest.trim_start().len());
    }

    /// Where the next character that is no blank stands, from 1.
    fn place(&mut self) -> usize {
        self.blanks();
        self.read + 1
    }

    fn syntax_at(&self, wanted: &'static str, found: String) -> GenotypeError {
        GenotypeError::Syntax { place: self.read + 1, wanted, found }
    }

    fn syntax(&self, wanted: &'static str) -> GenotypeError {
        let found = self.rest.chars().next().map_or_else(|| "the end".to_owned(), |found| format!("`{found}`"));
        self.syntax_at(wanted, found)
    }

    fn skip(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest.starts_with(token);
        if found {
            self.advance(token.len());
        }
        found
    }

    fn need(&mut self, token: &str, wanted: &'static str) -> Result<(), GenotypeError> {
        if self.skip(token) { Ok(()) } else { Err(self.syntax(wanted)) }
    }

    fn end(&mut self) -> Result<(), GenotypeError> {
        self.blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(self.syntax("the end")) }
    }

    fn word(&mut self, wanted: &'static str) -> Result<String, GenotypeError> {
        self.blanks();
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let bytes = self.rest.find(|letter| !is_letter(letter)).unwrap_or(self.rest.len());
        let word = self.rest[..bytes].to_owned();
        if word.is_empty() {
            return Err(self.syntax(wanted));
        }
        self.advance(bytes);
        Ok(word)
    }

    fn number(&mut self) -> Result<usize, GenotypeError> {
        self.blanks();
        let wanted = "the number of a member";
        let bytes = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..bytes].parse().map_err(|_| self.syntax(wanted))?;
        self.advance(bytes);
        Ok(number)
    }

    /// Items up to `close`, with commas between, and one after the last if it likes.
    fn list(
        &mut self,
        close: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(), GenotypeError>,
    ) -> Result<(), GenotypeError> {
        while !self.skip(close) {
            item(self)?;
            if !self.skip(",") {
                return self.need(close, if close == ")" { "`,` or `)`" } else { "`,` or `]`" });
            }
        }
        Ok(())
    }

    fn edges(&mut self) -> Result<Edges, GenotypeError> {
        let mut edges = Vec::new();
        self.need("[", "`[`")?;
        self.list("]", |reader| {
            reader.need("(", "`(`")?;
            let primitive = reader.primitive()?;
            reader.need(",", "`,`")?;
            edges.push((primitive, reader.number()?));
            reader.need(")", "`)`")
        })?;
        Ok(edges)
    }

    fn primitive(&mut self) -> Result<Primitive, GenotypeError> {
        let place = self.place();
        let quote = if self.skip("\"") { "\"" } else { "'" };
        if quote == "'" {
            self.need("'", "a name in quotes")?;
        }
        let given = self.word("the name of an operator")?;
        self.need(quote, "the end of the quotes")?;
        let found = Primitive::ALL.into_iter().find(|primitive| primitive.name() == given);
        found.ok_or(GenotypeError::Primitive { place, given })
    }

    /// `[2, 3]`, `range(2, 6)` or `list(range(2, 6))`.
    fn members(&mut self) -> Result<Vec<usize>, GenotypeError> {
        let mut members = Vec::new();
        if self.skip("[") {
            self.list("]", |reader| {
                members.push(reader.number()?);
                Ok(())
            })?;
            return Ok(members);
        }
        let in_list = self.skip("list(");
        self.need("range(", "`[` or `range(`")?;
        let first = self.number()?;
        self.need(",", "`,`")?;
        let end = self.number()?;
        self.need(")", "`)`")?;
        if in_list {
            self.need(")", "`)`")?;
        }
        // A member beyond the last is an error whatever its number, so a long range need not be walked.
        Ok((first..end).take(MOST_NODES + 3).collect())
    }
}
