//! Checks of the project itself: its module map, its types' traits, its example settings,
//! its pages.

mod architecture;
mod documentation;
mod env_example;
mod types;
