"""Label formats: COCO JSON, YOLO, Pascal VOC, CVAT, DOTA, VisDrone; most of them written, too."""

from foveate.data.formats.coco import read_coco, to_coco
from foveate.data.formats.cvat import read_cvat
from foveate.data.formats.dota import read_dota
from foveate.data.formats.load import FORMATS, Reader, load_dataset
from foveate.data.formats.visdrone import read_visdrone
from foveate.data.formats.voc import read_voc
from foveate.data.formats.write import write_dataset
from foveate.data.formats.writers import WRITERS
from foveate.data.formats.yolo import read_yolo

__all__ = [
    "FORMATS",
    "WRITERS",
    "Reader",
    "load_dataset",
    "read_coco",
    "read_cvat",
    "read_dota",
    "read_visdrone",
    "read_voc",
    "read_yolo",
    "to_coco",
    "write_dataset",
]
