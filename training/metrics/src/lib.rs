//! What a training logs: the names, what each means, where it is drawn, and a training's folder as data.
//!
//! Start with [`tables`]. The trainer writes by these tables; pictures, pages and comparisons read by them.
//! Invariant: it knows no tensor and no page, so that whoever only looks at a training needs no trainer.

mod comparison;
mod curves;
mod folder;
mod record;
pub mod tables;

pub use comparison::{
    ComparedChart, ComparedLine, Comparison, Group, GroupSpread, HeldOut, Measured, Member, OverSeeds,
    Spread, mean_line,
};
pub use curves::{Curve, curves, smooth};
pub use folder::{FolderError, Standing, Training};
pub use record::Record;
pub use tables::{Kind, Metric, Panel, Scale, Unit, held_out_key, set_and_name};
