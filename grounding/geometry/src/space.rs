//! The pixel spaces, as empty types: they exist only at compile time.

/// A pixel space. The name is used in debug output and error messages.
pub trait Space: Copy + 'static {
    /// The one spelling of this space in messages and logs.
    const NAME: &'static str;
}

macro_rules! spaces {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {}
        impl Space for $name { const NAME: &'static str = $text; }
    )*};
}

spaces! {
    /// Physical pixels of the screenshot.
    Screen = "screen";
    /// Physical pixels of all monitors of a desktop together.
    Desktop = "desktop";
    /// CSS pixels of the page's visible area.
    Viewport = "viewport";
    /// Pixels of the image that is handed to the policy: the screenshot, or a smaller copy where there is a limit.
    Shown = "shown";
    /// Pixels of the resized image that the network sees.
    Model = "model";
    /// Merged patches of the network's image: one visual token is 1 wide and 1 high.
    Patch = "patch";
    /// Pixels of a zoom crop after its own resize.
    Crop = "crop";
    /// The 0-1000 grid in which some model families answer.
    Thousand = "thousand";
}
