//! What a B2C result code means for the leg. The table is the provider's; a code that is not in it
//! is never taken for success or failure.
//! Called where results are applied.

/// What to do with a leg whose result carries this code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeClass {
    /// The money is on the phone.
    Paid,
    /// It will never be paid to this number: ask the farmer for another.
    RefusedFinal,
    /// Not paid; the same payout can work later (funds, daily limits, a full wallet).
    RefusedForNow,
    /// Not paid, and our account needs a person; later payments would fail alike.
    RefusedByOurAccount,
    /// Not a code we know, or one that proves nothing: leave the leg in doubt and ask.
    Unknown,
}

/// The class of a B2C result code, given as the characters on the wire (`0`, `"SFC_IC0003"`).
#[must_use]
pub fn classify(code: &str) -> CodeClass {
    match code.trim() {
        "0" => CodeClass::Paid,
        // 2 below minimum, 3 above maximum, 2040 not a customer, SFC_IC0003 no such number
        "2" | "3" | "2040" | "SFC_IC0003" => CodeClass::RefusedFinal,
        // 1 float short, 4 daily limit, 8 wallet would overflow, 26 traffic blocked
        "1" | "4" | "8" | "26" => CodeClass::RefusedForNow,
        // 11 debit party, 18/20 initiator, 21 role, 24/25 request fields, 2001 initiator info,
        // 2006 account inactive, 2028 permission, 8006 credential locked, TP40153 no permission
        "11" | "18" | "20" | "21" | "24" | "25" | "2001" | "2006" | "2028" | "8006" | "TP40153" => {
            CodeClass::RefusedByOurAccount
        }
        // 15 is "same originator id": the first one decides; 17 is a generic internal failure
        _ => CodeClass::Unknown,
    }
}

/// Whether every further call would make it worse: a locked credential stays locked longer.
#[must_use]
pub fn stops_all_calls(code: &str) -> bool {
    code.trim() == "8006"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_pays_and_only_known_codes_refuse() {
        assert_eq!(classify("0"), CodeClass::Paid);
        assert_eq!(classify("2040"), CodeClass::RefusedFinal);
        assert_eq!(classify("SFC_IC0003"), CodeClass::RefusedFinal);
        assert_eq!(classify("1"), CodeClass::RefusedForNow);
        assert_eq!(classify("8006"), CodeClass::RefusedByOurAccount);
        for unknown in ["15", "17", "4242", "", "00", "success"] {
            assert_eq!(classify(unknown), CodeClass::Unknown, "{unknown}");
        }
    }
}
