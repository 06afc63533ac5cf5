//! The backup itself, and what may happen to one: taken and sent, old ones removed, damaged ones
//! refused, the first region gone. Called by the drill's steps.

use anyhow::{Context as _, bail, ensure};

use super::Report;
use super::books::Books;
use super::scripts::{BUCKETS, Scripts, says, untimed};
use super::servers::Postgres;
use super::steps::parts;
use crate::servers::database::query;

const BACKUP: &str = "scripts/disaster-recovery/backup.sh";
const RESTORE: &str = "scripts/restore/restore.sh";
const VERIFY: &str = "scripts/backup/verify.sh";

/// Backups as they would be there: one beyond the days they are kept and one within, in each place. Says
/// of each whether it goes or stays.
const OLD_ONES: &str = "
    cd \"$BACKUP_DIR\"
    ago() { date -u -d \"$1 days ago\" +%Y%m%dT000000Z; }
    mkdir old
    for days in 40 29; do
        for suffix in '' .sha256 .manifest.json; do
            echo old >\"old/$(archive_name \"$(ago $days)\")$suffix\"
        done
    done
    for place in primary dr; do
        s3 \"$place\" s3 cp --recursive --only-show-errors old \"s3://$(bucket \"$place\")/$environment/\"
    done
    rm -r old
    for days in 8 6; do
        for suffix in '' .sha256 .manifest.json; do
            touch -d \"$days days ago\" \"$(archive_name \"$(ago $days)\")$suffix\"
        done
    done
    echo \"goes local $(ago 8)\"
    echo \"stays local $(ago 6)\"
    for place in primary dr; do
        echo \"goes $place $(ago 40)\"
        echo \"stays $place $(ago 29)\"
    done";

/// How the newest is kept in both regions.
const KEPT_AS: &str = "
    for place in primary dr; do
        s3 \"$place\" s3api head-object --bucket \"$(bucket \"$place\")\" --output text \\
            --key \"$environment/$(archive_name \"$(stamps \"$place\" | tail -n 1)\")\" \\
            --query '[StorageClass, ServerSideEncryption]'
    done";

/// One archive with a byte changed, in the first region; another, here, packed anew with a file changed.
const DAMAGED: &str = "
    mkdir \"$BACKUP_DIR/damaged\"
    cd \"$BACKUP_DIR/damaged\"
    stamp=$(stamps primary | tail -n 1)
    name=$(archive_name \"$stamp\")
    s3 primary s3 cp \"s3://$(bucket primary)/$environment/$name\" \"$name\" --only-show-errors
    tar --extract --gzip --file \"$name\"
    printf x >>\"$stamp/postgres.dump\"
    tar --create --gzip --file changed.tar.gz \"$stamp\"
    sha256sum changed.tar.gz >changed.tar.gz.sha256
    middle=$(($(stat -c %s \"$name\") / 2))
    byte=$(od -An -tu1 -j $middle -N 1 \"$name\")
    printf \"\\\\x$(printf %02x $((byte ^ 255)))\" | dd of=\"$name\" bs=1 seek=$middle conv=notrunc status=none
    s3 primary s3 cp \"$name\" \"s3://$(bucket primary)/$environment/$name\" --only-show-errors";

/// Takes a backup as every night, and looks at what is where.
pub(super) fn back_up(
    scripts: &Scripts,
    env: &[(&str, &str)],
    report: &mut Report,
) -> anyhow::Result<()> {
    report.begin("backup.sh: to two regions, read back")?;
    let old = scripts.shell("old backups", OLD_ONES)?;
    let said = scripts.run(0, BACKUP, &[], env)?;
    let told = untimed(says(&said, "backup of drill")?);
    let kept = scripts.shell("kept as", KEPT_AS)?;
    let kept: Vec<&str> = kept.split_whitespace().collect();
    ensure!(
        kept == ["GLACIER_IR", "aws:kms", "GLACIER_IR", "aws:kms"],
        "the archives are kept as {}",
        kept.join(" ")
    );
    let verified = scripts.run(0, VERIFY, &["dr"], &[])?;
    report.shown(format!(
        "{told}; GLACIER_IR, encrypted; verify.sh: {}",
        says(&verified, "tables of data")?
    ));

    report.begin("old ones removed: 30 days in S3, 7 here")?;
    let listed = scripts.run(0, "scripts/backup/list.sh", &[], &[])?;
    let of = |place: &str| -> Vec<&str> {
        let rows = listed.lines().map(|line| line.split_whitespace());
        rows.filter_map(|mut words| (words.next() == Some(place)).then(|| words.next())?)
            .collect()
    };
    for line in old.lines() {
        let [fate, place, stamp] = line.split(' ').collect::<Vec<_>>()[..] else {
            bail!("the old backups are told of by {line:?}");
        };
        let held = of(place);
        ensure!(
            held.len() == 2 && held.contains(&stamp) == (fate == "stays"),
            "{place} holds {}, wanted the new one and the one within its days; {stamp} {fate}",
            held.join(" ")
        );
    }
    ensure!(
        old.lines().count() == 6,
        "old backups were not made:\n{old}"
    );
    report.shown("of 40 and 29 days, and of 8 and 6 here, the younger stayed beside the new one");
    Ok(())
}

/// Neither a byte changed on the way nor a file changed and packed anew is restored.
pub(super) fn refuse_damaged(
    scripts: &Scripts,
    postgres: &Postgres,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.begin("a damaged archive is refused")?;
    scripts.shell("damage", DAMAGED)?;
    let url = postgres.url("microcrop_damaged");
    let env = [("DATABASE_URL", url.as_str())];
    let said = scripts.run(3, RESTORE, &["primary", "latest"], &env)?;
    let first = says(&said, "is damaged: its checksum differs")?.to_owned();
    scripts.run(3, VERIFY, &["primary"], &[])?;
    let changed = scripts.work().join("damaged/changed.tar.gz");
    let changed = changed.to_str().context("the folder's name is no text")?;
    let said = scripts.run(3, RESTORE, &[changed], &env)?;
    says(&said, "differs from its manifest")?;
    let made = query(
        &postgres.url("postgres"),
        "select count(*) from pg_database where datname = 'microcrop_damaged'",
    )?;
    ensure!(made == "0", "a database was made of a damaged archive");
    let name = first.rsplit('/').next().unwrap_or(&first);
    report.shown(format!(
        "exit 3, `{name}`; a changed file in a whole archive too"
    ));
    Ok(())
}

/// The first region's bucket is gone: the second one restores, and goes on being written.
pub(super) fn lose_the_primary(
    scripts: &Scripts,
    postgres: &Postgres,
    env: &[(&str, &str)],
    before: &Books,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.begin("the first region gone: restore.sh dr --replace")?;
    scripts.shell(
        "lose the first region",
        "s3 primary s3 rb --force \"s3://$(bucket primary)\"",
    )?;
    let said = scripts.run(1, RESTORE, &["primary", "latest"], env)?;
    says(&said, "cannot be read")?;
    let said = scripts.run(0, RESTORE, &["dr", "latest", "--replace"], env)?;
    let equal = Books::read(&postgres.url(super::steps::DATABASE))?.equal(before)?;
    let kept = query(
        &postgres.url("postgres"),
        "select count(*) from pg_database where datname like 'microcrop\\_drill\\_before\\_%'",
    )?;
    ensure!(kept == "1", "the database that was there was not kept");
    report.shown(format!(
        "{}; {equal}; the old database is kept aside",
        parts(&said)?
    ));

    report.begin("and backup.sh still reaches the second")?;
    let said = scripts.run(4, BACKUP, &[], env)?;
    let [(primary, _), (dr, _)] = BUCKETS;
    let words = format!("not sent to {primary}; it is in {dr}");
    report.shown(format!("exit 4, `{}`", says(&said, &words)?));
    Ok(())
}
