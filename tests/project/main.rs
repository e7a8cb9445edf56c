//! Checks of the project itself: its module map, its types' traits, its example settings.

mod architecture;
mod env_example;
mod types;
