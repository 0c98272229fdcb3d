//! One HTML file that shows fronts and runs: a plot and a table to look through, and of each run its layers, pictures and
//! network.
//!
//! The page works offline and asks for nothing: style, program and data stand in it, and its content security policy lets
//! no other program run. What comes from files is data in it, never markup. Equal records give equal bytes.

mod details;
mod networks;
mod page;

use serde::Serialize;

pub use details::{Details, Layer, Picture, Pictured};
pub use networks::{Networks, Shown};

use crate::pareto::Front;

/// What a page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report<'a> {
    /// Its heading.
    pub title: String,
    /// The line below it.
    pub lead: String,
    /// One for each accelerator; none where nothing has an accuracy and a latency.
    pub fronts: &'a [Front],
    /// What more is known of points: of runs by the folder ([`Point::run`](crate::pareto::Point::run)), of others by name.
    pub details: Vec<Details>,
    /// The networks of points that are of no run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Networks>,
    /// What was left out and what should not be compared, a sentence each.
    pub notes: Vec<String>,
}

impl Report<'_> {
    /// The page.
    ///
    /// # Panics
    /// Never: records have string keys, so they always serialize.
    #[must_use]
    pub fn html(&self) -> String {
        let data = serde_json::to_string(self).expect("plain records always serialize");
        page::filled(&self.title, &data)
    }
}

#[cfg(test)]
mod tests;
