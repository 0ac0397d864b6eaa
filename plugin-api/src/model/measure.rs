//! Types of the measures of a [`Rollup`](super::Rollup): one [`State`] or a tuple of up to six.

use crate::aggregate::{MeasureOptions, Stamp3, State};
use crate::manifest::Aggregator;

/// All measures of a row.
pub trait Measures: Default + Send + 'static {
    /// What [`add`](super::Entry::add) takes.
    type Add<'a>;
    /// The options of each measure.
    type Options: AsRef<[MeasureOptions]> + AsMut<[MeasureOptions]> + Default + Send;
    /// Number of measures.
    const COUNT: usize;

    /// The measures' aggregators.
    fn aggregators(options: &Self::Options) -> Vec<Aggregator>;
    /// Adds to each measure.
    fn add(&mut self, stamp: Stamp3, add: Self::Add<'_>, options: &Self::Options);
    /// Appends the states.
    fn encode(&self, options: &Self::Options, out: &mut Vec<u8>);
    /// Approximate size in memory, inline and on the heap.
    fn bytes(&self) -> usize;
}

impl<S: State> Measures for S {
    type Add<'a> = S::Add<'a>;
    type Options = [MeasureOptions; 1];
    const COUNT: usize = 1;

    fn aggregators(options: &Self::Options) -> Vec<Aggregator> {
        vec![S::aggregator(&options[0])]
    }

    #[inline]
    fn add(&mut self, stamp: Stamp3, add: Self::Add<'_>, options: &Self::Options) {
        State::add(self, stamp, add, &options[0]);
    }

    fn encode(&self, options: &Self::Options, out: &mut Vec<u8>) {
        State::encode(self, &options[0], out);
    }

    #[inline]
    fn bytes(&self) -> usize {
        State::bytes(self)
    }
}

macro_rules! measures {
    ($count:literal: $($name:ident $index:tt),*) => {
        impl<$($name: State),*> Measures for ($($name,)*) {
            type Add<'a> = ($($name::Add<'a>,)*);
            type Options = [MeasureOptions; $count];
            const COUNT: usize = $count;

            fn aggregators(options: &Self::Options) -> Vec<Aggregator> {
                vec![$($name::aggregator(&options[$index])),*]
            }

            #[inline]
            fn add(&mut self, stamp: Stamp3, add: Self::Add<'_>, options: &Self::Options) {
                $(self.$index.add(stamp, add.$index, &options[$index]);)*
            }

            fn encode(&self, options: &Self::Options, out: &mut Vec<u8>) {
                $(self.$index.encode(&options[$index], out);)*
            }

            #[inline]
            fn bytes(&self) -> usize {
                0 $(+ self.$index.bytes())*
            }
        }
    };
}

measures!(1: A 0);
measures!(2: A 0, B 1);
measures!(3: A 0, B 1, C 2);
measures!(4: A 0, B 1, C 2, D 3);
measures!(5: A 0, B 1, C 2, D 3, E 4);
measures!(6: A 0, B 1, C 2, D 3, E 4, F 5);

/// A measure that some messages of a row have nothing for: `add` takes an [`Option`].
impl<S: State> State for Option<S> {
    type Add<'a> = Option<S::Add<'a>>;

    fn aggregator(options: &MeasureOptions) -> Aggregator {
        S::aggregator(options)
    }

    #[inline]
    fn add(&mut self, stamp: Stamp3, value: Self::Add<'_>, options: &MeasureOptions) {
        if let Some(value) = value {
            self.get_or_insert_default().add(stamp, value, options);
        }
    }

    fn encode(&self, options: &MeasureOptions, out: &mut Vec<u8>) {
        match self {
            Some(state) => state.encode(options, out),
            None => S::default().encode(options, out),
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.as_ref().map_or(size_of::<Self>(), S::bytes)
    }
}
