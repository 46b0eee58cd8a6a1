"""The same networks in Keras 3, and the proof that minicnn computes what Keras computes.

    vgg_face, face_cnn,
    residual_cnn            the tables of minicnn.models, built from Keras's layers
    twins                   any minicnn layer, network, optimiser or loss -> the same in Keras
    weights                 to_keras, from_keras: by name, bit for bit
    parity                  compare_layer, compare_layers: every array against a float64 referee
    training                compare_training: how two trainings drift apart
    trainer, engine         a run of minicnn.recognition trained by Keras; its predictions by Keras
    triplet                 the triplet loss as a Keras loss

Importing this package does not import Keras; the first function that needs it does.
"""
