# SPDX-License-Identifier: MIT
#
# Names a build by what it consists of: 32 hex digits of a SHA-256 over the code and data of the given objects (debug
# information left out, so that two checkouts of one commit agree) and over tbos_config.h. Streams, logs and checkpoints
# carry the name; a program of another name refuses them.
import argparse
import hashlib
import os
import subprocess
import tempfile


def stripped(objcopy, path):
    with tempfile.TemporaryDirectory() as folder:
        bare = os.path.join(folder, 'bare.o')
        subprocess.run([objcopy, '--strip-debug', path, bare], check=True, stdin=subprocess.DEVNULL)
        with open(bare, 'rb') as file:
            return file.read()


def main():
    parser = argparse.ArgumentParser(description='write the build id as a C constant')
    parser.add_argument('--objcopy', required=True)
    parser.add_argument('--config', required=True)
    parser.add_argument('-o', dest='output', required=True)
    parser.add_argument('objects', nargs='+')
    args = parser.parse_args()

    digest = hashlib.sha256()
    with open(args.config, 'rb') as file:
        digest.update(file.read())
    for path in sorted(args.objects, key=os.path.basename):
        digest.update(stripped(args.objcopy, path))
    with open(args.output, 'w', encoding='ascii') as file:
        file.write('#include "hal/build_id.h"\n')
        file.write(f'const char hal_build_id[HAL_BUILD_ID_SIZE] = "{digest.hexdigest()[:32]}";\n')


main()
