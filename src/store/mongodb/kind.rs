//! What a namespace is.

/// What a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An ordinary or clustered collection.
    Collection,
    /// A pipeline over another collection.
    View,
    /// A time series collection.
    TimeSeries,
    /// A collection of bounded size, in the order of insertion.
    Capped,
}

impl Kind {
    /// The word in `metadata.json`; a capped collection is a collection there.
    pub(super) fn metadata_word(self) -> &'static str {
        match self {
            Self::Collection | Self::Capped => "collection",
            Self::View => "view",
            Self::TimeSeries => "timeseries",
        }
    }
}
