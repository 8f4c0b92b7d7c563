//! Clients that know nothing of the sandbox: requests made as JumpCloud's own command line, its
//! PowerShell module and a connector make them, each by its own small client, ending well.

mod command_line;
mod connector;
mod powershell;
