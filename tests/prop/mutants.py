#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Replaces a policy of the kernel by a trivial one, or takes one of the filesystem's guards away, in a copy of the sources, builds the tests and
# expects the named one to fail. A mutant that survives means that its test proves nothing.
#   mutants.py SOURCE_ROOT WORK_FOLDER
import os
import re
import shutil
import subprocess
import sys

PROGRAMS = {
    'prop': ['tests/test-prop', '--engine', 'sim', '--cpus', '2'],
    'pxfs_crash': ['tests/test-pxfs', '--engine', 'threads'],
    'pxfs_node': ['tests/test-pxfs', '--engine', 'threads'],
    'pxfs_file': ['tests/test-pxfs', '--engine', 'threads'],
    'pxfs_durable': ['tests/test-pxfs', '--engine', 'threads'],
    'pxfs_log': ['tests/test-pxfs', '--engine', 'threads'],
    'pxfs_snapshot': ['tests/test-pxfs', '--engine', 'threads'],
    'crash': ['tests/test-crash', '--tap', '--length', '2', '--sample', '90', '--damage', '1', '--nest', '0'],
    'fs_model': ['tests/test-fs', '--engine', 'sim', '--seed', '60000', '--seeds', '1600', '--sequential', '1', '--mem', '32'],
}

MUTANTS = [
    # name, file, pattern, replacement, test that must fail
    ('equal shares whatever the weight', 'src/core/sched/class_fair.c', r'= fair_weights\[nice - FAIR_NICE_MIN\];',
     '= fair_weights[nice - FAIR_NICE_MIN] > 0 ? 4096 : 1;', 'prop.shares_follow_weights'),
    ('the heaviest always first', 'src/core/sched/fair.h', r'return \(int64_t\)\(ta->deadline_v - tb->deadline_v\) < 0;',
     'return ta->weight > tb->weight;', 'prop.nobody_starves'),
    ('waiters lend nothing', 'src/core/sync/pi.c', r'kernel_self\(\)->hooks->inherit\(', r'if (thread->id == 0)\n\t\t\g<0>',
     'prop.inheritance_bounds_inversion'),
    ('a name comes into a removed folder', 'src/fs/vfs/rename.c', r'->nlink == 0\)\n\t\terr = ERR\(ENOENT\); // removed',
     r'->nlink == UINT32_MAX)\n\t\terr = ERR(ENOENT); // removed', 'fs_model.every_order_is_an_order'),
    ('two write one file at once', 'src/fs/vfs/pagefile.c', r'mutex_(un)?lock\(&inode->lock\);', '(void)inode;', 'fs_model.every_order_is_an_order'),
    ('no FLUSH before the superblock', 'src/fs/pxfs/commit.c', r'err = block_flush\(volume->device\);', 'err = 0;',
     'pxfs_crash.every_write_is_a_place_to_stop'),
    ('what is given up rests one generation', 'src/fs/pxfs/space_map.c', r'volume->generation - 2\b',
     'volume->generation - 1', 'pxfs_node.two_generations_back_is_whole'),
    ('a node is believed', 'src/fs/pxfs/node_read.c', r'!= le64_get\(&pointer->checksum\)\)', '== 1)', 'pxfs_node.a_wrong_bit_is_found'),
    ('data are believed', 'src/fs/pxfs/codec.c', r'!= le64_get\(&extent->checksum\)\)', '== 1)', 'pxfs_file.wrong_data_are_not_given_out'),
    ('a superblock before its nodes', 'src/fs/pxfs/commit.c', r'err = block_flush\(volume->device\);', 'err = 0;', 'crash.every_sequence'),
    ('a superblock that a cut may lose', 'src/fs/pxfs/super.c', r'SECTOR_SHIFT, BLOCK_FUA\);', 'SECTOR_SHIFT, 0);',
     'pxfs_durable.what_was_unmounted'),
    ('what is given up is written over too early', 'src/fs/pxfs/space_map.c', r'volume->generation - 2\b',
     'volume->generation - 1', 'crash.every_sequence'),
    ('a bit of a node', 'src/fs/pxfs/node_read.c', r'!= le64_get\(&pointer->checksum\)\)', '== 1)', 'crash.every_sequence'),
    ('a bit of a superblock', 'src/fs/pxfs/super.c', r'!= super_checksum\(super\)\)', '== 1)', 'crash.every_sequence'),
    ('a bit of data', 'src/fs/pxfs/codec.c', r'!= le64_get\(&extent->checksum\)\)', '== 1)', 'crash.every_sequence'),
    ('no FLUSH behind a batch', 'src/fs/pxfs/log.c', r'err = block_flush\(volume->device\);', 'err = 0;', 'pxfs_log.an_fsync_is_one_flush'),
    ('data of the last batch are taken to be there', 'src/fs/pxfs/log_read.c', r'err = batch_is_whole\(volume, batches->found\[i\]\.bytes, &whole\);',
     'err = 0;\n\t\t(void)batch_is_whole;', 'pxfs_log.it_ends_where_data_are_missing'),
    ('a batch is believed', 'src/fs/pxfs/log_read.c', r'return sum == le64_get\(&kept\);', 'return sum != 1;',
     'pxfs_log.it_ends_where_a_batch_is_damaged'),
    ('an acknowledged batch is lost and nobody hears of it', 'src/fs/pxfs/log_read.c', r'if \(err == 0 && last >= log->sequence\)',
     'if (err == 0 && last == UINT64_MAX)', 'pxfs_log.it_ends_where_a_batch_is_damaged'),
    ('what the log points to is free', 'src/fs/pxfs/log_replay.c', r'err = space_claim_free\(.*?\);', 'err = 0;',
     'pxfs_log.many_batches_around_the_ring'),
    ('a node of a snapshot is given up as its own', 'src/fs/pxfs/tree_change.c', r'node->birth <= subvol->shared\)', 'node->birth == 0)',
     'pxfs_snapshot.each_stays_what_it_was'),
    ('an extent of a snapshot is dropped as its own', 'src/fs/pxfs/extent.c', r'if \(is_shared\(subvol, extent\)\)', 'if (address == 0 && is_shared(subvol, extent))',
     'pxfs_snapshot.each_stays_what_it_was'),
    ('a snapshot ends a generation too early', 'src/fs/pxfs/snapshot.c', r'le64_put\(&item->created, volume->generation - 1\);',
     'le64_put(&item->created, volume->generation - 2);', 'pxfs_snapshot.each_stays_what_it_was'),
    ('the dead are sifted a generation too low', 'src/fs/pxfs/delete.c', r'if \(le64_get\(&ranges\[i\]\.birth\) > bound\)',
     'if (le64_get(&ranges[i].birth) >= bound)', 'pxfs_snapshot.each_stays_what_it_was'),
    ('parts of a piece are one reference', 'src/fs/pxfs/extent.c', r'i < more && err == 0; i\+\+\)', 'i + 1 < more && err == 0; i++)',
     'pxfs_file.pieces_of_clusters'),
    ('a failed operation goes on', 'src/fs/pxfs/commit.c', r'return volume_fail\(volume, err\);',
     'volume->failed = volume_fail(volume, err) == 0;', 'pxfs_file.a_disk_that_fails'),
]


def copy_tree(root, target):
    if os.path.exists(target):
        shutil.rmtree(target)
    os.makedirs(target)
    for name in os.listdir(root):
        if name in ('.git', 'build', 'tbos-sim'):
            continue
        source = os.path.join(root, name)
        copy = os.path.join(target, name)
        if os.path.isdir(source):
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy2(source, copy)


def run(command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', **options)


def build(folder, programs):
    done = run(['ninja', '-C', folder, *programs])
    if done.returncode != 0:
        sys.stdout.write(done.stdout[-3000:])
    return done.returncode == 0


def program_of(test):
    return PROGRAMS[test.split('.')[0]][0]


def holds(folder, test):
    program, *options = PROGRAMS[test.split('.')[0]]
    return run([os.path.join(folder, program), *options, test]).returncode == 0


def mutate(path, pattern, replacement):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    changed, count = re.subn(pattern, replacement, text)
    if count == 0:
        return None
    with open(path, 'w', encoding='utf-8') as file:
        file.write(changed)
    return text


def main():
    root, work = sys.argv[1], sys.argv[2]
    tree, folder = os.path.join(work, 'tree'), os.path.join(work, 'build')
    copy_tree(root, tree)
    shutil.rmtree(folder, ignore_errors=True)
    done = run(['meson', 'setup', '-Doptimization=1', '-Dasserts=true', '-Dschedpoints=full', folder, tree])
    if done.returncode != 0 or not build(folder, sorted({program[0] for program in PROGRAMS.values()})):
        print(f'Bail out! the unchanged tree does not build\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
        return 1
    failed = 0
    sound = {test: holds(folder, test) for test in sorted({mutant[-1] for mutant in MUTANTS})}
    for number, (name, file, pattern, replacement, test) in enumerate(MUTANTS, 1):
        path = os.path.join(tree, file)
        ok, why = sound[test], 'the test fails on the unchanged kernel'
        original = mutate(path, pattern, replacement) if ok else None
        if ok and original is None:
            ok, why = False, f'{file} has nothing like /{pattern}/ any more'
        elif ok:
            ok, why = build(folder, [program_of(test)]), 'the mutant does not build'
            if ok:
                ok, why = not holds(folder, test), f'{test} does not notice'
            with open(path, 'w', encoding='utf-8') as restored:
                restored.write(original)
        print(f'{"" if ok else "not "}ok {number} - mutants.{name.replace(" ", "_")}', flush=True)
        if not ok:
            print(f'# {why}')
            failed += 1
    print(f'1..{len(MUTANTS)}')
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
