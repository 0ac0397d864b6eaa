//! Values of named things.

use std::collections::BTreeMap;

use super::chart::Drawing;
use super::table::{Group, groups, total};
use crate::render::svg::{Bars, Layer, Mark, Plot, Rest};

/// The most bars that are cut into layers.
const MOST_BARS: usize = 200;
/// The most layers.
const MOST_LAYERS: usize = 60;

impl Drawing<'_> {
    pub(super) fn bars(&self) -> Plot {
        let mut ranked = self.ranked();
        if self.plan.as_ordered {
            ranked.sort_by_key(|(group, _)| group.first);
        }
        let limit = self.plan.most_bars.unwrap_or(usize::MAX);
        let left_out = ranked.len().saturating_sub(limit);
        ranked.truncate(limit);
        let more = self.rows.unread().saturating_add(left_out);
        Plot::Bars(Bars {
            axis: self.axis(),
            categories: ranked.iter().map(|(group, _)| self.category(group)).collect(),
            layers: vec![Layer {
                values: ranked.iter().map(|(_, value)| *value).collect(),
                ..Layer::default()
            }],
            // What all others add up to is known only where all were read.
            rest: if more > 0 { Rest::Omit } else { self.rest() },
            more,
        })
    }

    pub(super) fn stacked_bars(&self) -> Plot {
        let plan = self.plan;
        let Some(cut) = &plan.cut else { return self.bars() };
        let all = self.ranked();
        let by: Vec<String> = plan.by.iter().take(1).cloned().chain([cut.clone()]).collect();
        let pairs = groups(self.table(), &plan.measured, &by, plan.has_time);
        let mut sizes: BTreeMap<&Option<String>, f64> = BTreeMap::new();
        let mut cells: BTreeMap<[&Option<String>; 2], f64> = BTreeMap::new();
        for pair in &pairs {
            let Some(value) = total(std::slice::from_ref(pair), plan.measured.combine) else {
                continue;
            };
            *sizes.entry(&pair.keys[1]).or_default() += value;
            cells.insert([&pair.keys[0], &pair.keys[1]], value);
        }
        let mut layers: Vec<_> = sizes.into_iter().collect();
        layers.sort_by(|a, b| b.1.total_cmp(&a.1));
        let ranked = &all[..all.len().min(MOST_BARS)];
        let values = |layer: &Option<String>| {
            let of = |(group, _): &(Group, _)| cells.get(&[&group.keys[0], layer]).copied();
            ranked.iter().map(of).collect()
        };
        Plot::Bars(Bars {
            axis: self.axis(),
            categories: ranked.iter().map(|(group, _)| self.category(group)).collect(),
            layers: layers
                .iter()
                .take(MOST_LAYERS)
                .map(|(name, _)| Layer {
                    name: (*name).clone().unwrap_or_else(|| "none".to_owned()),
                    values: values(name),
                    colour: None,
                    mark: name
                        .as_ref()
                        .map_or(Mark::default(), |name| (self.about.mark)(cut, name)),
                })
                .collect(),
            rest: self.rest(),
            more: self.rows.unread().saturating_add(all.len() - ranked.len()),
        })
    }
}
