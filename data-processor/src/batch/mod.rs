//! Commands over whole series: what a contract would have paid, what it should cost, what a book of
//! them may lose, how well an index meets losses. Each reads files, prints a table and, where asked,
//! writes JSON and a picture. `import` and `baseline` alone touch the database: they only add rows.
//! Called by `main`.

pub mod as_if;
pub mod backtest;
pub mod baseline;
pub mod basis_risk;
pub mod chart;
pub mod database;
pub mod import;
pub mod portfolio;
pub mod price;
pub mod report;
pub mod restatements;
