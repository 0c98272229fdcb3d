//! The `energy` of an accelerator file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::reject;
use crate::accel::energy::EnergyTable;
use crate::load::{LoadError, Spanned};

/// An energy table as written, in pJ.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EnergyFile {
    /// pJ of a multiply-accumulate, 0 to 1e9.
    #[schemars(with = "f64")]
    pub mac_pj: Spanned<f64>,
    /// pJ of a byte read from or written to a register of a processing element, 0 to 1e9.
    #[schemars(with = "f64")]
    pub register_pj_per_byte: Spanned<f64>,
    /// pJ of a byte read from or written to a memory on chip, 0 to 1e9.
    #[schemars(with = "f64")]
    pub sram_pj_per_byte: Spanned<f64>,
    /// pJ of a byte read from or written to DRAM, 0 to 1e9.
    #[schemars(with = "f64")]
    pub dram_pj_per_byte: Spanned<f64>,
}

impl EnergyFile {
    pub(super) fn resolve(self, origin: &str) -> Result<EnergyTable, LoadError> {
        let picojoules = |key: &str, given: &Spanned<f64>| {
            let covered = (0.0..=EnergyTable::MAX_PJ).contains(&given.value);
            let reason = || format!("energy.{key}: must be from 0 to 1e9 pJ, got {}", given.value);
            if covered { Ok(given.value) } else { Err(reject(given, origin, reason())) }
        };
        Ok(EnergyTable {
            mac_pj: picojoules("mac-pj", &self.mac_pj)?,
            register_pj_per_byte: picojoules("register-pj-per-byte", &self.register_pj_per_byte)?,
            sram_pj_per_byte: picojoules("sram-pj-per-byte", &self.sram_pj_per_byte)?,
            dram_pj_per_byte: picojoules("dram-pj-per-byte", &self.dram_pj_per_byte)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::accel::Accelerator;

    const TABLE: &str = "name: a
array: { rows: 4, cols: 4 }
dataflow: weight-stationary
clock-mhz: 1000
energy:
  mac-pj: 0.2
  register-pj-per-byte: 0.01
  sram-pj-per-byte: 1
  dram-pj-per-byte: 80
";

    #[test]
    fn a_table_is_read_and_must_be_whole() {
        let table = Accelerator::parse(TABLE, "a.yaml").unwrap().energy.unwrap();
        assert_eq!((table.mac_pj, table.register_pj_per_byte), (0.2, 0.01));
        assert_eq!((table.sram_pj_per_byte, table.dram_pj_per_byte), (1.0, 80.0));
        let error = Accelerator::parse(&TABLE.replace("  sram-pj-per-byte: 1\n", ""), "a.yaml").unwrap_err();
        assert!(error.to_string().contains("missing field `sram-pj-per-byte`"), "{error}");
        let error = Accelerator::parse(&TABLE.replace("80", "-80"), "a.yaml").unwrap_err();
        assert_eq!(error.to_string(), "a.yaml:9:21: energy.dram-pj-per-byte: must be from 0 to 1e9 pJ, got -80");
    }
}
