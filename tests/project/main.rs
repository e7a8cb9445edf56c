//! Checks of the project itself: its module map, its guards, its types' traits, its example
//! settings, its pages.

mod architecture;
mod documentation;
mod env_example;
mod guards;
mod types;
