//! The pairs of the command and its refusal, on tables made here; the Marsabit files are compared
//! by `validate`. Writes below the system's temporary folder only.

use super::*;

fn asked(path: PathBuf) -> BasisRisk {
    BasisRisk {
        marsabit: None,
        pairs: Some(path),
        folds: Folds::Calendar,
        loss: 0.15,
        premium_multiple: 1.25,
        risk_aversion: 2.0,
        fn_max: 0.367,
        fp_max: 0.106,
        draws: 50,
        seed: 1,
        files: Files::default(),
    }
}

fn file(name: &str, rows: &[(f64, f64)]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("pairs-{}-{name}", std::process::id()));
    let lines = (2001..).zip(rows);
    let lines = lines.map(|(year, (loss, payout))| format!("A,{year},{loss},{payout}\n"));
    let text: String = std::iter::once("place,year,loss,payout\n".to_owned())
        .chain(lines)
        .collect();
    std::fs::write(&path, text).unwrap();
    path
}

fn code(path: &Path) -> String {
    let code = run(&asked(path.to_owned())).unwrap();
    std::fs::remove_file(path).unwrap();
    format!("{code:?}")
}

#[test]
fn an_index_that_pays_when_it_hurts_is_publishable() {
    let good = [
        (0.7, 0.6),
        (0.0, 0.0),
        (0.0, 0.0),
        (0.6, 0.6),
        (0.1, 0.0),
        (0.0, 0.0),
    ];
    assert_eq!(
        code(&file("good", &good)),
        format!("{:?}", ExitCode::SUCCESS)
    );
}

#[test]
fn an_index_that_pays_at_the_wrong_time_is_refused_with_exit_3() {
    let bad = [
        (0.7, 0.0),
        (0.0, 0.5),
        (0.0, 0.0),
        (0.6, 0.0),
        (0.1, 0.4),
        (0.0, 0.0),
    ];
    assert_eq!(code(&file("bad", &bad)), format!("{:?}", ExitCode::from(3)));
}

#[test]
fn a_loss_that_is_no_share_is_an_error() {
    let path = file("nonsense", &[(15.0, 0.0)]);
    assert!(run(&asked(path.clone())).is_err());
    std::fs::remove_file(path).unwrap();
    assert!(run(&asked(PathBuf::from("/nowhere.csv"))).is_err());
}
