"""Label formats: COCO JSON, YOLO, Pascal VOC."""

from foveate.data.formats.coco import read_coco, to_coco
from foveate.data.formats.load import FORMATS, Reader, load_dataset
from foveate.data.formats.voc import read_voc
from foveate.data.formats.yolo import read_yolo

__all__ = ["FORMATS", "Reader", "load_dataset", "read_coco", "read_voc", "read_yolo", "to_coco"]
