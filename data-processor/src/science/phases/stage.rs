//! A crop stage of the open BimaPima engine: the share of its sliding dry blocks that are a loss,
//! by its weight. A block that a missing day leaves open leaves the stage without a number.
//! Used by back-tests of dry-block covers.

use super::TermsError;
use crate::science::spells::{BlockLoss, Blocks};

/// A stage of a crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Its blocks.
    pub blocks: Blocks,
    /// Its share of the sum insured, 0 to 1.
    pub weight: f64,
}

impl Stage {
    /// What the stage pays, share of the sum insured: `weight × loss blocks / blocks`. `Ok(None)`
    /// while a missing day leaves a block open; an error when the stage is shorter than a block.
    pub fn payout(&self, found: BlockLoss) -> Result<Option<f64>, TermsError> {
        if found.blocks == 0 {
            return Err(TermsError::Zero);
        }
        let share = f64::from(found.loss) / f64::from(found.blocks);
        Ok((found.undecided == 0).then_some(self.weight * share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::science::spells::BlockCount;

    const STAGE: Stage = Stage {
        blocks: Blocks {
            length: 14,
            step: 1,
            trigger_mm: 15.0,
            daily_cap_mm: None,
            count: BlockCount::Bimapima,
        },
        weight: 0.25,
    };

    #[test]
    fn one_loss_block_of_fifteen_pays_a_fifteenth_of_the_weight() {
        // the first block has 14 mm, every later one 2 mm more
        let mut rain = vec![Some(1.0); 14];
        rain.extend([Some(3.0); 14]);
        let found = STAGE.blocks.losses(&rain);
        assert_eq!((found.blocks, found.loss), (15, 1));
        let paid = STAGE.payout(found).unwrap().unwrap();
        assert!((paid - 0.016_666).abs() < 1e-6);
    }

    #[test]
    fn a_stage_with_an_open_block_has_no_number_and_a_short_one_is_refused() {
        let mut rain = vec![Some(0.0); 28];
        rain[20] = None;
        assert_eq!(STAGE.payout(STAGE.blocks.losses(&rain)), Ok(None));
        let short = STAGE.blocks.losses(&rain[..13]);
        assert_eq!(STAGE.payout(short), Err(TermsError::Zero));
    }
}
