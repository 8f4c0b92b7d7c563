//! The sandbox: a simulated JumpCloud, a reference control plane and the story that joins them.
//! For trying and developing, never for production.

pub mod control_plane;
pub mod jumpcloud;
pub mod story;
pub mod tls;
