"""Draws what the camera sees; Esc ends it. Needs OpenCV.

python3 webcam.py x.cfg x.weights x.names
"""

import sys

import cv2

import darknet_focal

cfg, weights, names = sys.argv[1:]
detector = darknet_focal.Detector(cfg, weights, names=names)
camera = cv2.VideoCapture(0)
while True:
    there, frame = camera.read()
    if not there or cv2.waitKey(1) == 27:
        break
    for found in detector(frame, order="bgr"):
        left, top, right, bottom = (round(v) for v in found.xyxy)
        cv2.rectangle(frame, (left, top), (right, bottom), (0, 200, 0), 2)
        caption = f"{found.name} {found.probability:.2f}"
        cv2.putText(frame, caption, (left, top - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 200, 0))
    cv2.imshow("darknet_focal", frame)
camera.release()
