import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';
import { lvmOnLuks } from '../helpers/lvm-on-luks.ts';

testBoots('an initrd finds a root on', [lvmOnLuks], bootSuite());
